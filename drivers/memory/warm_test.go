package memory_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
)

// run is one run of a program, between the snapshots of two.
func run(t *testing.T, saved []byte, use func(c *runtime.Cache[string, string])) []byte {
	t.Helper()
	shared := memory.NewL2(memory.L2Options{})
	if saved != nil {
		if _, err := shared.Restore(bytes.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})), runtime.L2(shared), runtime.TTL(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := runtime.NewCache[string, string](store, "values")
	if err != nil {
		t.Fatal(err)
	}
	use(cache)
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := shared.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What a run had is there in the next, and what it deleted is not.
func TestAProgramStartsWarm(t *testing.T) {
	loads := 0
	get := func(c *runtime.Cache[string, string], key string) {
		t.Helper()
		_, err := c.GetOrSet(t.Context(), key, func(context.Context) (string, error) { loads++; return "loaded", nil })
		if err != nil {
			t.Error(err)
		}
	}
	saved := run(t, nil, func(c *runtime.Cache[string, string]) {
		get(c, "kept")
		get(c, "deleted")
		if err := c.Delete(t.Context(), "deleted"); err != nil {
			t.Error(err)
		}
	})
	if loads != 2 {
		t.Fatalf("%d loads in the first run", loads)
	}
	saved = run(t, saved, func(c *runtime.Cache[string, string]) {
		if get(c, "kept"); loads != 2 {
			t.Error("what was there is loaded again")
		}
		if get(c, "deleted"); loads != 3 {
			t.Error("what was deleted is back")
		}
		if err := c.Clear(t.Context()); err != nil {
			t.Error(err)
		}
	})
	run(t, saved, func(c *runtime.Cache[string, string]) {
		if get(c, "kept"); loads != 4 {
			t.Error("what was cleared is back")
		}
	})
}
