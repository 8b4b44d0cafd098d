package remote

import (
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/history"
)

// counterMark begins the reserved key of a process's counter, after the prefix.
const counterMark = "!h:"

// watchHistory has the tier notice that its content has gone back to an earlier state. The
// driver tells, or, while it does not, a counter in the tier does, if the driver can compare and
// swap.
func (t *Tier) watchHistory() {
	t.history.Historian, _ = drivers.HistorianOf(t.Driver)
	t.history.WentBack = func(from, to string) {
		t.wentBack(to == "", fmt.Errorf("%w: its history is %q, and was %q", history.ErrWentBack, to, from))
	}
	if !t.canSwap() {
		return
	}
	t.counter = &history.Counter{
		Key:   fmt.Sprintf("%s%s%016x", t.Prefix, counterMark, t.Stamps.Half()),
		Every: t.StampTrust,
		Go:    t.goCounting,
		Swap: func(s drivers.Swap) (bool, error) {
			swapped, err := t.swapBy(t.Work.Context, operation{held: &t.refused.writes}, []drivers.Swap{s})
			return err == nil && swapped[0], err
		},
		WentBack: func() {
			t.wentBack(true, fmt.Errorf("%w: a record of this process is older than it was, or lost", history.ErrWentBack))
		},
	}
}

func (t *Tier) wentBack(clear bool, why error) {
	t.lastTags.Store(nil)
	t.Emit.Warn("shared tier: nothing from before is used any more", why)
	t.WentBack(clear)
}

// goCounting runs a function in the background that asks the driver.
func (t *Tier) goCounting(f func()) {
	if !t.Work.Enter() {
		return
	}
	go func() {
		defer t.Work.Leave()
		defer func() {
			if p := recover(); p != nil {
				t.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", p))
			}
		}()
		f()
	}()
}
