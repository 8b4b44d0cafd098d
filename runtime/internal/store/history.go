package store

import (
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/history"
)

// counterMark begins the reserved key of a process's counter, after the prefix.
const counterMark = "!h:"

// watchHistory has the store notice that its shared tier has gone back to an earlier state. The
// driver tells, or, while it does not, a counter in the tier does, if the driver can compare and
// swap.
func (s *Store) watchHistory(driver drivers.L2) (watch *history.Watch, counter *history.Counter) {
	watch = &history.Watch{WentBack: func(from, to string) {
		s.wentBack(to == "", fmt.Errorf("%w: its history is %q, and was %q", history.ErrWentBack, to, from))
	}}
	watch.Historian, _ = drivers.HistorianOf(driver)
	if _, ok := drivers.SwapperOf(driver); !ok {
		return watch, nil
	}
	return watch, &history.Counter{
		Key:   fmt.Sprintf("%s%s%016x", s.Prefix, counterMark, s.Stamps.Half(counterMark)),
		Every: s.config.StampTrust,
		Go:    s.inBackground,
		Swap: func(w drivers.Swap) (bool, error) {
			swapped, err := s.Remote.Swap(s.Work.Context, []drivers.Swap{w})
			return err == nil && swapped[0], err
		},
		WentBack: func() {
			s.wentBack(true, fmt.Errorf("%w: a record of this process is older than it was, or lost", history.ErrWentBack))
		},
	}
}

// wentBack has nothing used any more that the shared tier has from before. If clear, that cannot be
// told from the store's stamp, and the stamp is replaced before anything is read.
func (s *Store) wentBack(clear bool, why error) {
	s.Emit.Warn("shared tier: nothing from before is used any more", why)
	if clear {
		s.Outbox.ClearStore()
	}
	s.Stamps.Gap(true)
}

// inBackground runs a function that asks a driver, unless the store is closed.
func (s *Store) inBackground(f func()) {
	if !s.Work.Enter() {
		return
	}
	go func() {
		defer s.Work.Leave()
		defer func() {
			if p := recover(); p != nil {
				s.Emit.Warn("shared tier: driver panicked", fmt.Errorf("%v", p))
			}
		}()
		f()
	}()
}
