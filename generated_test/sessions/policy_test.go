package sessions

import (
	"errors"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func wantLoads(t *testing.T, want int64, f func()) {
	t.Helper()
	before := policyLoads.Load()
	f()
	if n := policyLoads.Load() - before; n != want {
		t.Errorf("%d loads, want %d", n, want)
	}
}

func TestASharedValueIsTheSameForAllUntilItExpires(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		policy := func(name PolicyName) *Policy {
			p, err := GetOrSetPolicy(ctx, name)
			if err != nil || p == nil {
				t.Fatal(p, err)
			}
			return p
		}
		var first *Policy
		wantLoads(t, 2, func() {
			first = policy("staff+night")
			time.Sleep(10 * time.Hour) // ttl=forever; a store with a bus sends heartbeats meanwhile
			if policy("staff+night") != first {
				t.Error("shared callers get copies")
			}
			policy("guests")
		})
		if err := CachedResetPolicies("staff+night", "nobody"); err != nil {
			t.Fatal(err)
		}
		wantLoads(t, 1, func() {
			if policy("staff+night") == first {
				t.Error("the policy has not been loaded anew")
			}
			policy("guests")
		})
	})
}

func TestThatThereIsNoPolicyIsRememberedForAnHour(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		ask := func() {
			if p, err := GetOrSetPolicy(t.Context(), ""); p != nil || !errors.Is(err, ErrNoPolicy) {
				t.Fatal(p, err)
			}
		}
		wantLoads(t, 1, func() { ask(); ask() })
		time.Sleep(61 * time.Minute)
		wantLoads(t, 1, ask)
	})
}

func TestTheStoreOfADirectiveHasToBeThere(t *testing.T) {
	stores, err := runtime.OpenStore("main", runtime.L1(memory.New(memory.Options{})))
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close(t.Context())
	if err := BindCaches(stores); !errors.Is(err, runtime.ErrUnknownStore) {
		t.Errorf("got %v, want %v", err, runtime.ErrUnknownStore)
	}
}
