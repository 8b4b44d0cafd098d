package runtime_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

var (
	errLost  = errors.New("the connection was lost")
	errNoBus = errors.New("the bus was lost")
)

// A weather is what goes wrong in a round, and how often: in a thousand operations.
type weather struct {
	latency      time.Duration // of the shared tier, at most
	fails, hangs int
	split        bool // operations on many keys do not happen at once
	evicts       int
	duplicates   int // messages that come twice
}

// A chance is a source of randomness that many goroutines share.
type chance struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newChance(seed uint64) *chance { return &chance{rng: rand.New(rand.NewPCG(seed, 0))} }

func (c *chance) below(n int64) int64 {
	if n <= 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Int64N(n)
}

// of is true n times in a thousand.
func (c *chance) of(n int) bool { return n > 0 && c.below(1000) < int64(n) }

// some returns a time up to d, to the nanosecond: no two things happen at once.
func (c *chance) some(d time.Duration) time.Duration { return time.Duration(c.below(int64(d) + 1)) }

// A link is the way of one process to the shared tier.
type link struct {
	*faketier.Shared
	process int
	history *history
	chance  *chance
	weather weather
	calm    func() bool // nothing goes wrong any more
	lags    bool        // a write that hangs lands later: only this process makes up for that
}

var _ drivers.Adder = (*link)(nil)

// travel waits up to a latency, but not longer than ctx.
func (l *link) travel(ctx context.Context) error {
	timer := time.NewTimer(l.chance.some(l.weather.latency))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do carries out an operation on n keys, in parts if the weather is so. It can fail
// before or after it has taken effect.
func (l *link) do(ctx context.Context, n int, f func(from, to int) error) error {
	rough := !l.calm()
	if err := l.travel(ctx); err != nil {
		return err
	}
	if rough && l.chance.of(l.weather.fails) {
		return errLost
	}
	if rough && l.chance.of(l.weather.hangs) {
		<-ctx.Done()
		return ctx.Err()
	}
	middle := n
	if l.weather.split && n > 1 {
		middle = 1 + int(l.chance.below(int64(n-1)))
	}
	for _, part := range [][2]int{{0, middle}, {middle, n}} {
		if part[0] == part[1] {
			continue
		}
		if err := f(part[0], part[1]); err != nil {
			return err
		}
		if err := l.travel(ctx); err != nil {
			return err
		}
	}
	if rough && l.chance.of(l.weather.fails) {
		return errLost
	}
	return nil
}

func (l *link) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	var values [][]byte
	err := l.do(ctx, len(keys), func(from, to int) error {
		part, err := l.Shared.GetMany(ctx, keys[from:to])
		for i, b := range part {
			if p, ok := l.passage(keys[from+i], b); ok {
				l.history.passed(&l.history.fetched, p)
			}
		}
		values = append(values, part...)
		return err
	})
	if err != nil {
		now, _ := l.history.moment()
		l.history.mu.Lock()
		defer l.history.mu.Unlock()
		l.history.failing[l.process] = append(l.history.failing[l.process], now)
		return nil, err
	}
	return values, nil
}

func (l *link) SetMany(ctx context.Context, items []drivers.Item) error {
	if l.lags && !l.calm() && l.chance.of(l.weather.hangs) { // given up, it takes effect all the same
		<-ctx.Done()
		go func() {
			time.Sleep(l.chance.some(modelL2Timeout))
			_ = l.Shared.SetMany(context.Background(), items)
		}()
		return ctx.Err()
	}
	return l.do(ctx, len(items), func(from, to int) error {
		for _, it := range items[from:to] {
			if p, ok := l.passage(it.Key, it.Value); ok {
				l.history.passed(&l.history.filled, p)
			}
		}
		return l.Shared.SetMany(ctx, items[from:to])
	})
}

func (l *link) AddMany(ctx context.Context, items []drivers.Item) (values [][]byte, err error) {
	err = l.do(ctx, len(items), func(from, to int) error {
		part, err := l.Shared.AddMany(ctx, items[from:to])
		values = append(values, part...)
		return err
	})
	return values, err
}

func (l *link) DeleteMany(ctx context.Context, keys []string) error {
	return l.do(ctx, len(keys), func(from, to int) error { return l.Shared.DeleteMany(ctx, keys[from:to]) })
}

// passage says what the bytes of a key tell of the value in them.
func (l *link) passage(key string, data []byte) (p passage, ok bool) {
	if data == nil || strings.HasPrefix(key, "!") {
		return p, false
	}
	row, err := strconv.Atoi(key[strings.LastIndexByte(key, ':')+1:])
	if err != nil {
		return p, false
	}
	head, value, err := entry.Parse(data)
	if err != nil {
		return p, false
	}
	p = passage{process: l.process, row: row, from: time.Duration(head.LoadStarted - l.history.began.UnixNano())}
	if head.Presence() == entry.Present {
		var v modelRow
		if err := runtime.MsgPack.Unmarshal(value, &v); err != nil {
			return p, false
		}
		p.made = v.Made
	}
	return p, true
}

// A hub is a bus whose messages take their time. Each process has an ear at it,
// which can be cut off.
type hub struct {
	history *history
	chance  *chance
	latency time.Duration
	weather weather

	mu   sync.Mutex
	ears []*ear
}

// An ear is one process's subscription, and its bus.
type ear struct {
	hub      *hub
	process  int
	listener drivers.Listener
	queue    chan news
	done     chan struct{}

	up bool // as the listener has been told

	mu    sync.Mutex
	cut   bool
	last  time.Time     // when the last of the queue is due
	deaf  bool          // cut off, and not told since that it is connected again
	since time.Duration // when that began
}

// A news is a message, or that the connection is there or is lost.
type news struct {
	due     time.Time
	message []byte
	up      bool
	down    error
}

// bus returns the bus of one process.
func (h *hub) bus(process int) *ear {
	e := &ear{hub: h, process: process, queue: make(chan news, 10_000), done: make(chan struct{}), deaf: true}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ears = append(h.ears, e)
	return e
}

func (e *ear) Subscribe(_ string, l drivers.Listener) (func(), error) {
	e.listener = l
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case n := <-e.queue:
				if !e.deliver(n) {
					return
				}
			case <-e.done:
				return
			}
		}
	}()
	e.put(news{up: true}, 0)
	return func() { close(e.done); <-stopped }, nil
}

func (e *ear) deliver(n news) bool {
	timer := time.NewTimer(time.Until(n.due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.done:
		return false
	}
	switch lost := e.lost(); {
	case n.up && !lost:
		e.up = true
		e.listener.Up()
		e.heard()
	case n.down != nil && e.up:
		e.up = false
		e.listener.Down(n.down)
	case n.message != nil && !lost:
		e.listener.Message(n.message)
	}
	return true
}

// heard ends a silence.
func (e *ear) heard() {
	_, t := e.hub.history.moment()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hub.history.mu.Lock()
	defer e.hub.history.mu.Unlock()
	deaf := &e.hub.history.deaf[e.process]
	*deaf = append(*deaf, silence{e.since, t})
	e.deaf = false
}

// put appends to the queue, so that it is heard after what is in it, and within the
// latency.
func (e *ear) put(n news, after time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n.due = time.Now().Add(after)
	if n.due.Before(e.last) {
		n.due = e.last
	}
	e.last = n.due
	e.queue <- n
}

func (e *ear) lost() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cut
}

func (e *ear) Publish(ctx context.Context, _ string, message []byte) error {
	if e.lost() {
		return errNoBus
	}
	h := e.hub
	h.mu.Lock()
	ears := h.ears
	h.mu.Unlock()
	for _, to := range ears {
		if to.lost() {
			continue
		}
		to.put(news{message: message}, h.chance.some(h.latency))
		if h.chance.of(h.weather.duplicates) {
			to.put(news{message: message}, h.chance.some(h.latency))
		}
	}
	return ctx.Err()
}

// hush cuts a process off, which it notices a while later, or connects it again.
func (e *ear) hush(cut bool) {
	_, t := e.hub.history.moment()
	e.mu.Lock()
	same := e.cut == cut
	e.cut = cut
	if !same && cut && !e.deaf {
		e.deaf, e.since = true, t
	}
	e.mu.Unlock()
	switch {
	case same:
	case cut:
		e.put(news{down: errNoBus}, e.hub.chance.some(e.hub.latency))
	default:
		e.put(news{up: true}, e.hub.chance.some(e.hub.latency))
	}
}

// Close implements drivers.Bus.
func (e *ear) Close() error { return nil }
