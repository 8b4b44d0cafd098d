package remote_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
)

// race R46: of many operations that notice that the tier has gone back one reacts, and each of
// them finds out what the tier holds now.
func TestThatTheTierWentBackIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s, other := storetest.New(t, store.Config{L2: &shared}), storetest.New(t, store.Config{L2: &shared})
		kind := s.Kind("")
		if err := s.Remote.MakeStamps(t.Context(), kind.Required, time.Hour); err != nil {
			t.Fatal(err)
		}
		write(t, s, s.Item(kind, "k", "v", hour), kind)
		for round := range 5 {
			epoch := s.Stamps.Generation()
			shared.Restore(shared.Snapshot(), "history "+string(rune('a'+round)))
			var begun, wg sync.WaitGroup
			begun.Add(10)
			for range 10 {
				wg.Go(func() {
					begun.Done()
					begun.Wait()
					if items, err := read(t, s, kind, "k"); err != nil || items[0] != nil && s.Memory.CheckLocal(items[0], time.Now().UnixNano()) > 0 {
						t.Errorf("%v, %v", items, err)
					}
				})
			}
			wg.Wait()
			if got := s.Stamps.Generation(); got != epoch+1 {
				t.Errorf("%d reactions", got-epoch)
			}
			var both sync.WaitGroup
			for _, s := range []*storetest.Store{s, other} {
				both.Go(func() {
					if err := s.Remote.MakeStamps(t.Context(), s.Kind("").Required, time.Hour); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			write(t, s, s.Item(kind, "k", "v", hour), kind)
			for _, s := range []*storetest.Store{s, other} { // under a stamp on which they agree
				if items, err := read(t, s, s.Kind(""), "k"); err != nil || items[0] == nil || !items[0].Current() {
					t.Errorf("%v, %v", items, err)
				}
			}
		}
	})
}

// What a stamp says of the history is kept when the stamp is kept for longer.
func TestAnExtendedStampIsOfTheSameHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		cells := []*stamp.Cell{s.Stamps.Cell(entry.StoreStamp), s.Stamps.Cell("t:x")}
		var before stamp.Record
		for _, life := range []time.Duration{time.Minute, time.Hour} {
			if err := s.Remote.MakeStamps(t.Context(), cells, life); err != nil {
				t.Fatal(err)
			}
			r, ok := stamp.Parse(shared.Keys()["!s:s"])
			if !ok || r.History == 0 || before.History != 0 && (r.Value != before.Value || r.History != before.History || r.Until <= before.Until) {
				t.Errorf("%+v after %+v", r, before)
			}
			before = r
			if r, ok := stamp.Parse(shared.Keys()["!s:t:x"]); !ok || r.History != 0 {
				t.Errorf("of a tag: %+v", r)
			}
		}
		if shared.Calls("add") != 1 || shared.Calls("swap") != 1 {
			t.Errorf("%d adds, %d swaps", shared.Calls("add"), shared.Calls("swap"))
		}
	})
}
