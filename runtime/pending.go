package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/busmsg"
	"github.com/cachegen/cachegen/runtime/internal/recovery"
)

// What is pending are invalidations that have not reached the shared tier or the
// other processes. They are queued before their callers are told of the failure, and
// tried again until they get through. Until then nothing that they concern is read
// from the shared tier: what lies there is what was to go.

const (
	// maxPending bounds how many keys and stamps are remembered. Beyond it the whole
	// store is cleared instead, which is one stamp.
	maxPending = 100_000
	// replayBatch is how many are carried out at a time.
	replayBatch = 500

	firstRetry, lastRetry = 100 * time.Millisecond, 5 * time.Second
	// drainTime bounds Close where its context has no deadline.
	drainTime = 10 * time.Second
)

// errPending is the cause why a stamp was not read.
var errPending = errors.New("a change of the stamp has not reached it yet")

func keyTarget(key string) recovery.Target { return recovery.Target{Kind: recovery.Key, Name: key} }

func stampTarget(name string, expire bool) recovery.Target {
	if expire {
		return recovery.Target{Kind: recovery.ExpireStamp, Name: name}
	}
	return recovery.Target{Kind: recovery.DeleteStamp, Name: name}
}

func targets(names []string, of func(string) recovery.Target) []recovery.Target {
	out := make([]recovery.Target, len(names))
	for i, name := range names {
		out[i] = of(name)
	}
	return out
}

// enqueue remembers that targets are still to be invalidated in the shared tier, or
// that the others are still to be told, as like says.
func (s *Store) enqueue(targets []recovery.Target, like recovery.Item, err error) {
	items := make([]recovery.Item, len(targets))
	for i, t := range targets {
		items[i] = like
		items[i].Target = t
	}
	s.queue(items, err)
}

func (s *Store) queue(items []recovery.Item, err error) {
	if !s.pending.Add(items...) {
		all := recovery.Item{Target: stampTarget(storeStamp, false), Shared: s.l2 != nil, Tell: s.peers != nil}
		s.pending.Replace(all, func() { s.stamps.Change(storeStamp, false, s.l2 != nil) })
		s.warn("too many invalidations are pending, the store will be cleared instead", err)
	}
	s.retries.start(s)
}

func (s *Store) sayPending(err error) {
	emit(s, s.hooks.Load().Pending, event.Pending{Store: s.name, Pending: s.pending.Len(), Err: err})
}

// blocked reports whether a stamp must not be read from the shared tier.
func (s *Store) blocked(name string) bool {
	return s.pending.Len() > 0 && (s.pending.Blocks(stampTarget(name, false)) || s.pending.Blocks(stampTarget(name, true)))
}

// replay carries out what is pending and due in the order in which it came, until
// something fails.
func (s *Store) replay(ctx context.Context) (err error) {
	tried := false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("driver panicked: %v", p)
		}
		if tried {
			s.sayPending(err)
		}
	}()
	t := now()
	items := slices.DeleteFunc(s.pending.First(s.pending.Len()), func(it recovery.Item) bool { return !it.Due(t) })
	tried = len(items) > 0
	for len(items) > 0 {
		n := min(replayBatch, len(items))
		if err := s.replayBatch(ctx, items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

func (s *Store) replayBatch(ctx context.Context, items []recovery.Item) error {
	var keys, deleted, expired []recovery.Item
	for _, it := range items {
		switch it.Kind {
		case recovery.Key:
			keys = append(keys, it)
		case recovery.DeleteStamp:
			deleted = append(deleted, it)
		case recovery.ExpireStamp:
			expired = append(expired, it)
		}
	}
	return errors.Join(s.replayKeys(ctx, keys), s.replayStamps(ctx, deleted, false), s.replayStamps(ctx, expired, true))
}

// replayKeys does not ask about keys that somebody is changing: what that brings
// about makes up for what is pending, or is pending then itself.
func (s *Store) replayKeys(ctx context.Context, items []recovery.Item) error {
	var open []recovery.Item
	var hashes []uint64
	var tell []recovery.Item
	began := now()
	for _, it := range items {
		if it.Shared || it.Last(began) {
			open, hashes = append(open, it), append(hashes, s.hash(it.Name))
		} else {
			tell = append(tell, it)
		}
	}
	var mine []recovery.Item
	turn := s.stripes.Fill(hashes, func(i int) bool {
		ok := s.pending.Holds(open[i])
		if ok {
			mine = append(mine, open[i])
		}
		return ok
	})
	if turn != nil {
		err := func() error {
			defer turn.End()
			s.await(turn)
			var drop, age []string
			for _, it := range mine {
				if it.Age && !it.Last(began) {
					age = append(age, it.Name)
				} else {
					drop = append(drop, it.Name)
				}
			}
			err := errors.Join(
				s.whatIsTaken(drop, func(keys []string) error { return s.deleteMany(ctx, keys) }),
				s.whatIsTaken(age, func(keys []string) error { return s.ageShared(ctx, keys) }),
			)
			if err != nil {
				return err
			}
			if s.peers != nil { // some may have read what has just gone
				for i := range mine {
					mine[i].Tell = mine[i].Tell || mine[i].Last(began)
				}
			}
			s.pending.Reached(began, mine...)
			return nil
		}()
		if err != nil {
			return err
		}
	}
	return s.retell(ctx, busmsg.Drop, append(tell, mine...))
}

// whatIsTaken carries out names, one by one if that is refused: the tier holds
// nothing under a name that it refuses, and the others must not wait for it.
func (s *Store) whatIsTaken(names []string, do func([]string) error) error {
	if len(names) == 0 {
		return nil
	}
	err := do(names)
	if !errors.Is(err, drivers.ErrRefused) {
		return err
	}
	var errs []error
	for _, name := range names {
		switch err := do([]string{name}); {
		case errors.Is(err, drivers.ErrRefused):
			s.warn("shared tier: refused, and not tried again", err, "name", name)
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Store) replayStamps(ctx context.Context, items []recovery.Item, expire bool) error {
	var names []string
	var open []recovery.Item
	for _, it := range items {
		if it.Shared {
			names, open = append(names, it.Name), append(open, it)
		}
	}
	if len(names) > 0 {
		if err := s.whatIsTaken(names, func(names []string) error { return s.restampShared(ctx, names, expire) }); err != nil {
			return err
		}
		s.pending.Reached(now(), open...)
		for _, name := range names {
			s.stamps.Change(name, expire, s.l2 != nil)
		}
	}
	kind := busmsg.DeleteStamp
	if expire {
		kind = busmsg.ExpireStamp
	}
	return s.retell(ctx, kind, items)
}

// retell tells the other processes of those items that they have to hear of.
func (s *Store) retell(ctx context.Context, kind busmsg.Kind, items []recovery.Item) error {
	var names []string
	var told []recovery.Item
	for _, it := range items {
		if it.Tell {
			names, told = append(names, it.Name), append(told, it)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := s.tell(ctx, busmsg.Message{Kind: kind, Names: names}); err != nil {
		var again []recovery.Item // they may have left the queue
		for _, it := range told {
			again = append(again, recovery.Item{Target: it.Target, Tell: true})
		}
		s.queue(again, err)
		return err
	}
	s.pending.Told(told...)
	return nil
}

// drain tries to carry out what is pending for as long as ctx allows, and returns
// what is lost.
func (s *Store) drain(ctx context.Context) error {
	s.retries.end(ctx)
	if s.pending.Len() == 0 {
		return nil
	}
	var last error
	for ctx.Err() == nil && s.pending.Len() > 0 {
		s.breaker.Reset()
		err := s.replay(ctx)
		if err == nil || last == nil || ctx.Err() == nil { // or else it says only that the time is over
			last = err
		}
		if err != nil || s.pending.Len() > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(firstRetry):
			}
		}
	}
	lost := s.pending.First(s.pending.Len())
	if len(lost) == 0 {
		return nil
	}
	names := make([]string, len(lost))
	for i, it := range lost {
		names[i] = it.Name
	}
	if last == nil {
		last = ctx.Err()
	}
	return &InvalidationError{Op: "close", Store: s.name, Targets: names, Err: last}
}

// retries is the goroutine that replays what is pending. It runs only while
// something is. The zero value is ready.
type retries struct {
	mu      sync.Mutex
	running chan struct{} // closed when the goroutine has ended; nil if there is none
	wake    chan struct{}
	ended   bool
	stop    context.CancelFunc
}

func (r *retries) start(s *Store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil || r.ended {
		return
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(s.base)
	r.running, r.wake = make(chan struct{}), make(chan struct{}, 1)
	go r.run(ctx, s, r.running, r.wake)
}

// hurry makes the next try come at once.
func (r *retries) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// end stops it for good and waits until it has ended, or until ctx is done: a hook that
// it calls may be who waits.
func (r *retries) end(ctx context.Context) {
	r.mu.Lock()
	r.ended = true
	running, stop := r.running, r.stop
	r.mu.Unlock()
	if running != nil {
		stop()
		select {
		case <-running:
		case <-ctx.Done():
		}
	}
}

func (r *retries) run(ctx context.Context, s *Store, running, wake chan struct{}) {
	defer close(running)
	delay := firstRetry
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
			return
		}
		if err := s.replay(ctx); err != nil {
			delay = min(2*delay, lastRetry)
		} else {
			delay = firstRetry
		}
		if r.idle(s) {
			return
		}
		timer.Reset(delay)
	}
}

// idle says that the goroutine ends, if nothing is pending any more.
func (r *retries) idle(s *Store) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.pending.Len() > 0 {
		return false
	}
	r.stop()
	r.running = nil
	return true
}
