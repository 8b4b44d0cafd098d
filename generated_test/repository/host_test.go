package repository

import (
	"testing"
	"testing/synctest"

	"github.com/cachegen/cachegen/generated_test/internal/process"
)

func TestWhatIsWrittenForEachSystemIsCachedOnEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := must[*CachedHost](t)(NewCachedHost(&Host{}, process.Alone(t)))
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
