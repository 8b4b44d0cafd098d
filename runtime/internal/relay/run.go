package relay

import (
	"errors"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/guard"
)

const (
	// longestAway is the longest time between two looks while the outbox does not answer.
	longestAway = 30 * time.Second
	// listeningPolls is how many times longer it is between two looks if the driver tells of
	// commits: what it does not tell of is what others have given up.
	listeningPolls = 10
)

// run looks into the table until the last member has left.
func (r *Relay) run() {
	defer close(r.ended)
	stop := r.listen()
	defer stop()
	var away time.Duration // how long the last pause was after a look that failed
	next := time.Now()     // the first look makes the table, too
	for {
		if !r.awaitLook(&next) {
			return
		}
		now := time.Now()
		more, again, err := r.look(now)
		poll := r.poll()
		switch {
		case forGood(err):
			r.warn("outbox: the driver is closed: what others leave is not carried out here", err)
			next = now.Add(longestAway)
		case err != nil:
			r.warn("outbox: the table could not be looked into", err)
			away = min(max(2*away, poll), max(longestAway, poll))
			next = now.Add(r.about(away))
		default:
			away = 0
			next = r.nextLook(now, poll, more, again)
		}
	}
}

func (r *Relay) nextLook(now time.Time, poll time.Duration, more bool, again time.Time) time.Time {
	if more {
		return now
	}
	wait := r.about(poll)
	if r.listening.Load() {
		wait *= listeningPolls
	}
	next := now.Add(wait)
	if told := r.toldAt(); told.After(now.Add(-poll)) {
		next = earlier(next, told.Add(poll))
	}
	if !again.IsZero() {
		next = earlier(next, again)
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// awaitLook waits until it is time to look, and reports whether there is a member that looks. It
// is not next if the driver tells of a commit meanwhile.
func (r *Relay) awaitLook(next *time.Time) bool {
	for {
		if r.isStopped() {
			return false
		}
		wait := time.Until(*next)
		if wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.poke:
			timer.Stop()
			poll := r.poll()
			if told := r.toldAt(); told.Add(poll).After(time.Now()) {
				// All processes are told of a commit at the same time.
				*next = earlier(*next, told.Add(poll+r.below(poll/4)))
			}
			if !r.listening.Load() {
				*next = earlier(*next, time.Now().Add(r.about(poll)))
			}
		}
	}
}

func (r *Relay) isStopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// poll returns how often the table is looked into: as often as one of the members wants.
func (r *Relay) poll() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	poll := time.Duration(0)
	for _, m := range r.members {
		if poll == 0 || m.Poll < poll {
			poll = m.Poll
		}
	}
	return poll
}

// about returns a time between half of d and one and a half, so that processes do not look all at
// once.
func (r *Relay) about(d time.Duration) time.Duration { return d/2 + r.below(d) }

func (r *Relay) below(d time.Duration) time.Duration {
	return time.Duration(r.random.Below("outbox", int64(max(d, 1))))
}

// warn logs what concerns no single store, in the log of one of them.
func (r *Relay) warn(text string, err error) {
	r.mu.Lock()
	var m *Member
	if len(r.members) > 0 {
		m = r.members[0]
	}
	r.mu.Unlock()
	if m != nil {
		m.Emit.Warn(text, err)
	}
}

// forGood reports whether a driver is closed: no other try succeeds.
func forGood(err error) bool { return errors.Is(err, drivers.ErrClosed) }

// listen has the driver tell of commits, if it can.
func (r *Relay) listen() (stop func()) {
	notifier, ok := drivers.OutboxNotifierOf(r.driver)
	if !ok {
		return func() {}
	}
	err := guard.Call(func() (err error) {
		stop, err = notifier.Notify(ear{r})
		return err
	})
	if err != nil || stop == nil {
		r.warn("outbox: the driver does not tell of commits", err)
		return func() {}
	}
	return stop
}

// An ear hears of commits.
type ear struct{ *Relay }

// Up implements [drivers.Listener].
func (e ear) Up() {
	e.listening.Store(true)
	e.tell() // something may have been missed
}

// Down implements [drivers.Listener].
func (e ear) Down(error) {
	e.listening.Store(false)
	e.wake()
}

// Message implements [drivers.Listener].
func (e ear) Message([]byte) { e.tell() }

// tell says that there may be entries that become due.
func (r *Relay) tell() {
	r.told.Store(int64(time.Since(r.began)))
	r.wake()
}

// toldAt returns when that was said last.
func (r *Relay) toldAt() time.Time { return r.began.Add(time.Duration(r.told.Load())) }
