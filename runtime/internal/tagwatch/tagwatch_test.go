package tagwatch_test

import (
	"errors"
	goruntime "runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/invalidate"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/store"
	"github.com/cachegen/cachegen/runtime/internal/storetest"
	"github.com/cachegen/cachegen/runtime/internal/tagwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the server is down")

// learned returns the cells of names, with stamps that are in the shared tier.
func learned(t *testing.T, s *storetest.Store, names ...string) (cells []*stamp.Cell) {
	t.Helper()
	for _, name := range names {
		cells = append(cells, s.Stamps.Cell(name))
	}
	if err := s.Remote.MakeStamps(t.Context(), cells, time.Hour); err != nil {
		t.Fatal(err)
	}
	return cells
}

// A watched load learns at its end that its value has the tag x.
type watched struct {
	*storetest.Store
	watch tagwatch.Watch
	epoch uint64
}

// begin begins the load: the number of tag changes is read before it.
func begin(t *testing.T, s *storetest.Store) *watched {
	t.Helper()
	w := &watched{s, s.Lookups.Load.Tags.Watch(), s.Stamps.Epoch()}
	values, err := s.Remote.Read(t.Context(), time.Second, []string{w.watch.Key()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.watch.SetNumber(t.Context(), values[0])
	return w
}

// changed ends the load and reports whether the tag may have changed during it.
func (w *watched) changed(t *testing.T) bool {
	t.Helper()
	cells := []*stamp.Cell{w.Stamps.Cell("t:x")}
	if err := w.Remote.MakeStamps(t.Context(), cells, time.Hour); err != nil {
		t.Fatal(err)
	}
	refs := entry.Refs(cells)
	unchanged, err := w.watch.Verify(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	return w.watch.Changed(refs, w.epoch, unchanged)
}

// race R2, R3: a tag that only the result tells, and that is invalidated during the load,
// is noticed wherever that happens.
func TestATagThatChangesDuringTheLoadIsNoticed(t *testing.T) {
	for name, test := range map[string]struct {
		known     bool // this process knows the tag's stamp before the load
		meanwhile func(t *testing.T, here, there *storetest.Store, shared *faketier.Shared)
		want      bool
	}{
		"nothing, known":   {true, nil, false},
		"nothing, unknown": {false, nil, false},
		"here, known":      {true, func(t *testing.T, here, _ *storetest.Store, _ *faketier.Shared) { deleteTag(t, here, "x") }, true},
		"here, unknown":    {false, func(t *testing.T, here, _ *storetest.Store, _ *faketier.Shared) { deleteTag(t, here, "x") }, true},
		"elsewhere":        {false, func(t *testing.T, _, there *storetest.Store, _ *faketier.Shared) { deleteTag(t, there, "x") }, true},
		"elsewhere, expired": {false, func(t *testing.T, _, there *storetest.Store, _ *faketier.Shared) {
			if err := there.Invalidate.ExpireByTag(t.Context(), []string{"x"}, invalidate.Mode{}); err != nil {
				t.Error(err)
			}
		}, true},
		"another tag, unknown": {false, func(t *testing.T, _, there *storetest.Store, _ *faketier.Shared) { deleteTag(t, there, "y") }, true}, // it cannot tell which
		"another tag, known":   {true, func(t *testing.T, _, there *storetest.Store, _ *faketier.Shared) { deleteTag(t, there, "y") }, false},
		"the number is evicted": {false, func(_ *testing.T, _, _ *storetest.Store, shared *faketier.Shared) {
			shared.Evict("!t")
		}, true},
		"a clear elsewhere": {false, func(t *testing.T, _, there *storetest.Store, _ *faketier.Shared) {
			if err := there.Invalidate.Clear(t.Context(), entry.Cache{}, invalidate.Mode{}); err != nil {
				t.Error(err)
			}
		}, false}, // which is no tag
	} {
		t.Run(name, func(t *testing.T) {
			var shared faketier.Shared
			here, there := storetest.New(t, store.Config{L2: &shared}), storetest.New(t, store.Config{L2: &shared})
			var keep []*stamp.Cell
			if test.known {
				keep = learned(t, here, "t:x")
			}
			w := begin(t, here)
			if test.meanwhile != nil {
				test.meanwhile(t, here, there, &shared)
			}
			if got := w.changed(t); got != test.want {
				t.Errorf("changed: %v, want %v", got, test.want)
			}
			goruntime.KeepAlive(keep)
		})
	}
}

func deleteTag(t *testing.T, s *storetest.Store, tag string) {
	t.Helper()
	if err := s.Invalidate.DeleteByTag(t.Context(), []string{tag}, invalidate.Mode{}); err != nil {
		t.Error(err)
	}
}

func TestWithoutTheNumberADoubtfulTagIsTakenForChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared faketier.Shared
		s := storetest.New(t, store.Config{L2: &shared})
		w := &watched{s, s.Lookups.Load.Tags.Watch(), s.Stamps.Epoch()} // its number was never read
		if !w.changed(t) {
			t.Error("believed without the number")
		}
		w = begin(t, s)
		cells := learned(t, s, "t:new")
		shared.Down(errDown)
		if ok, err := w.watch.Verify(t.Context(), entry.Refs(cells)); ok || !errors.Is(err, errDown) {
			t.Error("believed although the number cannot be read:", err)
		}
		w.watch.SetNumber(t.Context(), nil)
		if !s.Told("warn", "write stamps") {
			t.Error("nothing was told:", s.Lines("warn"))
		}
		shared.Down(nil)
		if ok, err := w.watch.Verify(t.Context(), entry.Refs(cells)); ok || err != nil {
			t.Error("believed although the number could not be made:", err)
		}
	})
}

// Nobody else changes a stamp that only this process has.
func TestAStampOfThisProcessAloneIsNotDoubtful(t *testing.T) {
	for name, c := range map[string]store.Config{"memory alone": {L1: storetest.L1()}, "a tier that was away": {L2: &faketier.Shared{}}} {
		s := storetest.New(t, c)
		watch, epoch := s.Lookups.Load.Tags.Watch(), s.Stamps.Epoch()
		cells := []*stamp.Cell{s.Stamps.Cell("t:x")}
		s.Remote.Provide(cells)
		refs := entry.Refs(cells)
		ok, err := watch.Verify(t.Context(), refs)
		if err != nil || !ok || watch.Changed(refs, epoch, false) {
			t.Errorf("%s: doubtful, %v", name, err)
		}
		s.Stamps.Change("t:x", false, s.Remote.Exists())
		if !watch.Changed(entry.Refs(cells), epoch, true) {
			t.Errorf("%s: a change here was not noticed", name)
		}
	}
}
