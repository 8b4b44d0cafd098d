package teams

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/file"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
)

// A sickTier is a shared tier that can hang at deletions. It has no capabilities.
type sickTier struct {
	drivers.L2
	hangs atomic.Bool
}

func (s *sickTier) DeleteMany(ctx context.Context, keys []string) error {
	if s.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.L2.DeleteMany(ctx, keys)
}

// The source has changed: the caller of a writer gets its results, and an error that says which
// function has done its work, after one L2Timeout for all of its targets.
func TestAWriterWhoseCacheHangsReturnsItsResultsAndSaysThatItHasDoneItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &sickTier{L2: file.New(t.TempDir(), file.Options{NoSync: true})}
		main, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(shared))
		if err != nil {
			t.Fatal(err)
		}
		local, err := runtime.NewStore("local", runtime.L1(memory.New(memory.Options{})))
		if err != nil {
			t.Fatal(err)
		}
		stores, err := runtime.NewStores(main, local)
		if err != nil {
			t.Fatal(err)
		}
		defer stores.Close(t.Context())
		repo := someUsers()
		cached := wrap(t, repo, stores)
		cached.wantName(t, 1, "Ada")

		shared.hangs.Store(true)
		began := time.Now()
		old, err := cached.Rename(t.Context(), 1, "Ada Lovelace")
		took := time.Since(began)
		shared.hangs.Store(false)
		var failed *runtime.InvalidationError
		if !errors.As(err, &failed) || !strings.HasSuffix(failed.Function, "/teams.UserRepo.Rename") || !strings.Contains(err.Error(), "UserRepo.Rename has done its work") {
			t.Errorf("%v", err)
		}
		if took != time.Second || old.Name != "Ada" {
			t.Errorf("after %v: %+v", took, old)
		}
		cached.wantName(t, 1, "Ada Lovelace")
		time.Sleep(time.Minute)
		cached.wantName(t, 1, "Ada Lovelace")
	})
}
