package memory

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// Each read of a store without a memory tier makes an item of its own. It learns from the
// back-off of the one before it, and another entry under the key does not.
func TestABackOffOutlivesTheItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Memory
		read := func(loadStarted int64) *entry.Item {
			it := &entry.Item{Key: "k", LoadStarted: loadStarted}
			m.RecallBackOff(it)
			return it
		}
		m.BackOff(1, read(7), time.Second)
		if !read(7).BackingOff(clock.Now()) {
			t.Error("forgotten")
		}
		if read(8).BackingOff(clock.Now()) {
			t.Error("remembered for another entry")
		}
		time.Sleep(time.Second)
		if read(7).BackingOff(clock.Now()) {
			t.Error("remembered for too long")
		}
	})
}

func TestBackOffsAreBounded(t *testing.T) {
	var m Memory
	for i := range 3 * maxBackOffs {
		m.BackOff(1, &entry.Item{Key: strconv.Itoa(i)}, time.Hour)
		if n := len(m.backOffs.byKey); n > maxBackOffs {
			t.Fatal(n)
		}
	}
	last := &entry.Item{Key: strconv.Itoa(3*maxBackOffs - 1)}
	if m.RecallBackOff(last); !last.BackingOff(clock.Now()) {
		t.Error("the last one is forgotten")
	}
}
