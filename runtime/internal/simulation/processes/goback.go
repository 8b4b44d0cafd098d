package processes

import (
	"bytes"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
)

// storeStamp is the key of the stamp of the store.
const storeStamp = "!s:s"

// KeepCopy makes a copy of the tier.
func (w *World) KeepCopy() {
	w.Tier.Keep()
	w.copied = w.Moment()
}

// GoBack lets the tier return to its copy.
func (w *World) GoBack() {
	w.Tier.GoBack()
	b := &record.Return{Copied: w.copied, At: w.Moment(), Mended: record.NotYet, Able: make(map[*record.Process]bool)}
	w.Record.Returns = append(w.Record.Returns, b)
	w.restored = w.Tier.Get(storeStamp)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.Processes {
		if p.counter == nil || p.Gone {
			continue
		}
		// Numbers are of one length, so they can be compared as bytes.
		if found := w.Tier.Get(p.counterKey); bytes.Compare(found, p.counter) < 0 {
			b.Able[&p.Process] = true
			p.counter = found // what it goes on with
		}
	}
}

// lookForNewStamp notes when the stamp of the store is another one than in the copy to which the
// tier has returned.
func (w *World) lookForNewStamp() {
	for _, b := range w.Record.Returns {
		if b.Mended == record.NotYet && !bytes.Equal(w.Tier.Get(storeStamp), w.restored) {
			b.Mended = w.Moment()
		}
	}
}

// noteCounter notes what the process has learnt of its counter in the tier.
func (p *Process) noteCounter(swaps []drivers.Swap, swapped []bool) {
	for i, s := range swaps {
		if servers.IsCounter(s.Key) && swapped[i] {
			p.world.mu.Lock()
			p.counter, p.counterKey = s.New, s.Key
			p.world.mu.Unlock()
		}
	}
}
