package repository

import (
	"testing"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestWhatIsWrittenForEachSystemIsCachedOnEach(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		host := must[*CachedHost](t)(NewCachedHost(&Host{}, stores))
		for range 2 {
			for _, verbose := range []bool{true, false} {
				if name, err := host.LoadSystem(t.Context(), verbose); name == "" || err != nil {
					t.Fatal(name, err)
				}
			}
		}
		if host.loads != 2 {
			t.Errorf("%d loads, want 2", host.loads)
		}
	})
}
