package runtime_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// Memory has dropped what could not be invalidated in the shared tier, whether it
// was to go by its key or by a stamp.
func TestMemoryServesNothingAfterAnInvalidationThatFailed(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour))
				c := newCache[int, int](t, s.Namespace("users"))
				if err := c.Set(t.Context(), 7, 1, runtime.Tags("team:1")); err != nil {
					t.Fatal(err)
				}
				shared.Down(errSource)
				var failed *runtime.InvalidationError
				if err := change(t.Context(), s, c); !errors.As(err, &failed) {
					t.Fatalf("got %v, want an InvalidationError", err)
				}
				shared.Down(nil)
				shared.Evict("@users:7") // so that only memory could have it
				for range 2 {
					if got, ok, err := c.Get(t.Context(), 7); ok || err != nil {
						t.Errorf("got %v, %v, %v, want nothing", got, ok, err)
					}
				}
			})
		})
	}
}
