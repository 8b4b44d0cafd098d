package runtime_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// listed is a tier whose keys can be listed.
type listed struct {
	*faketier.Shared
	scanned func(keys []string) // before they are handed out
}

var _ drivers.Scanner = listed{}

func (l listed) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	for key := range l.Keys() {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if l.scanned != nil {
			l.scanned([]string{key})
		}
		if err := f([]string{key}); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
	return ctx.Err()
}

// Kind: what nobody can read any more stays for ever. An entry without an end that a tag, a
// namespace or a clear has made invalid is removed, and no other.
func TestPruneRemovesWhatIsInvalidByItsStamps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		tier := listed{Shared: &shared}
		s := newStore(t, runtime.L2(tier), runtime.TTL(runtime.Forever), runtime.Prefix("app"))
		nested := newStore(t, runtime.L2(tier), runtime.TTL(runtime.Forever), runtime.Prefix("app:inner"))
		outer := newStore(t, runtime.L2(tier), runtime.TTL(runtime.Forever))
		set := func(in any, key string, options ...runtime.CallOption) {
			t.Helper()
			if err := newCache[string, int](t, in).Set(t.Context(), key, 1, options...); err != nil {
				t.Fatal(err)
			}
		}
		set(s, "kept", runtime.Tags("kept"))
		set(s, "tagged", runtime.Tags("kept", "gone"))
		set(s, "expired", runtime.Tags("old"))
		set(s, "stale", runtime.Tags("old"), runtime.Grace(time.Hour))
		set(s.Namespace("users"), "1")
		set(s.Namespace("usersAbc"), "1")
		set(nested, "other")
		set(outer, "z")
		outers, err := runtime.NewStores(outer)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := open(outers, definition[string, int]{Name: "plain"}) // whose keys may look like those of another store
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"app:x", "app:@!values:x", "y"} {
			if err := plain.Set(t.Context(), key, 1); err != nil {
				t.Fatal(err)
			}
		}
		shared.Put("app:foreign", []byte("not an entry"))
		shared.Put("app:!s:t:foreign", []byte("not a stamp"))
		if err := s.DeleteByTag(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		if err := s.ExpireByTag(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		n, err := s.Prune(t.Context())
		if err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		for key, want := range map[string]bool{
			"app:@!values:kept": true, "app:@!values:tagged": false, "app:@!values:expired": false, "app:@!values:stale": true,
			"app:@users@!values:1": true, "app:@usersAbc@!values:1": true, "app:inner:@!values:other": true, "@!values:z": true,
			"app:x": true, "app:%40!values:x": true, "y": true, "app:foreign": true,
		} {
			if _, there := shared.Keys()[key]; there != want {
				t.Errorf("%s: %v", key, there)
			}
		}
		if n, err := outer.Prune(t.Context()); n != 0 || err != nil { // whose prefix all keys begin with
			t.Errorf("another store: %d, %v", n, err)
		}
		if n, err := s.Prune(t.Context()); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		// A clear does it behind its caller.
		if err := s.Namespace("users").Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, there := shared.Keys()["app:@users@!values:1"]; there {
			t.Error("what was cleared is there")
		}
		for range 3 {
			if err := s.Clear(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for key := range shared.Keys() {
			if strings.HasPrefix(key, "app:@") {
				t.Errorf("%s is there after a clear", key)
			}
		}
		for _, key := range []string{"app:inner:@!values:other", "@!values:z", "app:x", "app:%40!values:x", "y"} {
			if _, there := shared.Keys()[key]; !there {
				t.Errorf("%s of another store is gone", key)
			}
		}
	})
}

// variants returns the bytes of a key that holds several entries.
func variants(envelopes ...[]byte) []byte {
	b := []byte{0xCA, 0x6E, 2}
	for _, e := range envelopes {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	return b
}

// A key goes if nobody can read any of the entries that several builds have there.
func TestPruneJudgesTheEntriesOfAllBuilds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		tier := listed{Shared: &shared}
		s, other := newStore(t, runtime.L2(tier), runtime.Prefix("app")), newStore(t, runtime.L2(tier), runtime.Prefix("app"))
		a, b := newCache[string, shapeOne](t, s), newCache[string, shapeTwo](t, other)
		entries := func(ttl time.Duration, tagA, tagB runtime.Tag) []byte {
			if err := a.Set(t.Context(), "k", shapeOne{"a"}, runtime.TTL(ttl), runtime.Tags(tagA)); err != nil {
				t.Fatal(err)
			}
			one := shared.Keys()["app:@!values:k"]
			if err := b.Set(t.Context(), "k", shapeTwo{"b", 1}, runtime.TTL(runtime.Forever), runtime.Tags(tagB)); err != nil {
				t.Fatal(err)
			}
			return variants(one, shared.Keys()["app:@!values:k"])
		}
		of := map[string][]byte{
			"both":    entries(time.Hour, "kept", "kept"),
			"first":   entries(time.Hour, "kept", "gone"),
			"second":  entries(time.Hour, "gone", "kept"),
			"none":    entries(time.Hour, "gone", "gone"),
			"over":    entries(time.Minute, "kept", "gone"),
			"broken":  append(entries(time.Hour, "gone", "gone"), 0),
			"foreign": variants(entries(time.Hour, "gone", "gone")[7:]),
		}
		for key, data := range of {
			shared.Put("app:@!values:"+key, data)
		}
		shared.Evict("app:@!values:k")
		if err := s.DeleteByTag(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if n, err := s.Prune(t.Context()); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		for key := range of {
			if _, there := shared.Keys()["app:@!values:"+key]; there != (key != "none" && key != "over") {
				t.Errorf("%s: %v", key, there)
			}
		}
	})
}

// race R54: what is stored while a prune is on its way is not what it has read.
func TestPruneLeavesWhatIsStoredMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		s := newStore(t, runtime.L2(listed{Shared: &shared}), runtime.TTL(runtime.Forever))
		c := newCache[string, int](t, s)
		if err := c.Set(t.Context(), "k", 1, runtime.Tags("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteByTag(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		once := false
		shared.SetAfter(func(op string, keys []string) {
			if op == "get" && keys[0] == "!s:s" && !once { // the old entry has been read, and its stamps
				once = true
				if err := c.Set(t.Context(), "k", 2, runtime.Tags("x")); err != nil {
					t.Error(err)
				}
			}
		})
		if n, err := s.Prune(t.Context()); n != 0 || err != nil || !once {
			t.Error(n, err, once)
		}
		got, ok, err := c.Get(t.Context(), "k")
		if got != 2 || !ok || err != nil {
			t.Error(got, ok, err)
		}
	})
}

// A prune behind a clear ends with its store.
func TestAPruneBehindAClearEndsWithTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		tier := listed{Shared: &shared, scanned: func([]string) { time.Sleep(time.Second) }}
		s, err := runtime.NewStore("main", runtime.L2(tier), runtime.TTL(runtime.Forever), runtime.Logger(silent))
		if err != nil {
			t.Fatal(err)
		}
		c := newCache[int, int](t, s)
		for i := range 100 {
			if err := c.Set(t.Context(), i, i); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if err := s.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("clear and close took %v", took)
		}
		time.Sleep(2 * time.Second)
		if n := len(shared.Keys()); n < 50 || n == 100 {
			t.Errorf("%d keys are left", n)
		}
	})
}
