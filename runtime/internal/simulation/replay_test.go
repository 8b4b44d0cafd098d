package simulation

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// tracesOf returns what a store of a seed wrote to its tier, by key, and published.
func tracesOf(t *testing.T, seed uint64) (written map[string]string, published []string) {
	synctest.Test(t, func(t *testing.T) {
		var tier faketier.Shared
		bus := faketier.Bus{Hold: func(message []byte) bool {
			published = append(published, string(message))
			return false
		}}
		p, err := openProcess(newRand(seed, "store").uint64, []runtime.StoreOption{runtime.L2(&tier), runtime.Bus(&bus)}, []runtime.Option{runtime.JitterPercent(50)})
		if err != nil {
			t.Fatal(err)
		}
		for row := range allRows {
			if err := p.cache(row).Set(t.Context(), row, tableRow{ID: row}, runtime.TTL(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.store.DeleteByTag(t.Context(), rowTag(0)); err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		written = make(map[string]string)
		for key, value := range tier.Keys() {
			written[key] = string(value)
		}
	})
	return written, published
}

// The stamps, the jitter of the TTLs and the origin of messages are those of the seed.
func TestASeedRepeatsTheRandomNumbersOfAStore(t *testing.T) {
	written, published := tracesOf(t, 1)
	if len(written) <= allRows || len(published) == 0 {
		t.Fatalf("%d keys and %d messages are too few to compare", len(written), len(published))
	}
	again, publishedAgain := tracesOf(t, 1)
	if !maps.Equal(written, again) || !slices.Equal(published, publishedAgain) {
		t.Errorf("one seed: %q, %q\nand again: %q, %q", written, published, again, publishedAgain)
	}
	other, publishedOther := tracesOf(t, 2)
	for key := range written {
		if written[key] == other[key] {
			t.Errorf("%q is the same with another seed", key)
		}
	}
	if slices.Equal(published, publishedOther) {
		t.Errorf("the messages are the same with another seed: %q", published)
	}
}
