package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
)

const (
	// recheck is how long a server is believed to be in the state that it was found in. A
	// server can become a replica of another one, whose content it takes over, while its
	// connections stay open.
	recheck = 10 * time.Second
	// questionLimit is how long all servers together have to answer. The client's own limits may
	// be longer.
	questionLimit = 5 * time.Second
)

var errNoAnswer = errors.New("not all servers have answered")

// A history finds out whether the servers are still those that were asked before, each in the
// same history of its data. It asks when there is a reason: an answer may have come over a
// connection that did not exist when it asked, or from a node of a Cluster that was no master
// then. All callers share one question at a time.
type history struct {
	client  goredis.UniversalClient
	began   time.Time
	recheck time.Duration // changed by tests before the first call

	reasons atomic.Uint64 // how many reasons there were
	told    atomic.Pointer[told]

	ctx context.Context // ends when the driver is closed
	end context.CancelFunc

	mu     sync.Mutex // guards what follows
	asking *question  // nil if none is under way
	known  map[weak.Pointer[goredis.Client]]*node
	// strangers are the nodes of a Cluster that were no masters and have answered since, and how
	// often.
	strangers map[*node]int
}

// told is an answer that was given.
type told struct {
	text    string
	reasons uint64        // before the question
	live    int           // see history.alive
	at      time.Duration // since the history began, when the question did
}

// A question is under way until done is closed. The rest is not changed after that.
type question struct {
	reasons uint64
	done    chan struct{}
	text    string
	err     error
}

func newHistory(client goredis.UniversalClient) *history {
	h := &history{
		client: client, began: time.Now(), recheck: recheck,
		known: make(map[weak.Pointer[goredis.Client]]*node), strangers: make(map[*node]int),
	}
	h.ctx, h.end = context.WithCancel(context.Background())
	h.watch()
	return h
}

// History returns a text that names the servers, and the history of the data of each of them.
// It is a checksum of their run ids, replication ids and roles, which are asked for with INFO.
//
// A restart, a failover, and a client that is led to another server are noticed at once: a
// server is asked when a connection to it was made since it was asked last, before any answer
// over that connection is believed. It is asked over a connection of its own, because the
// client's older ones may lead to another server. A node of a Cluster is also asked when it
// answers and was no master before. A server that becomes a replica while its connections stay
// open is noticed when it refuses a write, after which the client ends the connection, or else
// after 10 s.
//
// The text is empty if a server does not say who it is, or if the client has no right to INFO:
// then the driver cannot tell. See [drivers.Historian] and the package's limits.
func (d *Driver) History(ctx context.Context) (string, error) {
	err := d.begin(ctx)
	var text string
	if err == nil {
		text, err = d.history.now(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("redis: history: %w", classified(err))
	}
	return text, nil
}

// now returns the text that is valid for every answer that came before the call.
func (h *history) now(ctx context.Context) (string, error) {
	live := h.alive()
	t := h.told.Load()
	if t != nil && t.live != live {
		h.reasons.Add(1)
	}
	if t != nil && t.reasons == h.reasons.Load() && time.Since(h.began)-t.at < h.recheck {
		return t.text, nil
	}
	for need := h.reasons.Load(); ; {
		q := h.question()
		select {
		case <-q.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		// A question that began before a reason says nothing about it.
		if q.reasons >= need {
			return q.text, q.err
		}
	}
}

// question returns the one that is under way, or begins one.
func (h *history) question() *question {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asking != nil {
		return h.asking
	}
	q := &question{reasons: h.reasons.Load(), done: make(chan struct{})}
	h.asking = q
	go func() {
		t := &told{reasons: q.reasons, live: h.alive(), at: time.Since(h.began)}
		ctx, cancel := context.WithTimeout(h.ctx, questionLimit)
		defer cancel()
		t.text, q.err = h.ask(ctx)
		switch {
		case q.err == nil:
			q.text = t.text
			h.told.Store(t)
		case h.ctx.Err() != nil:
			q.err = drivers.ErrClosed
		case ctx.Err() != nil: // which is not the context of a caller
			q.err = fmt.Errorf("%w within %s", errNoAnswer, questionLimit)
		}
		h.mu.Lock()
		h.asking = nil
		h.mu.Unlock()
		close(q.done)
	}()
	return q
}
