package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

const (
	// page is how many keys a walk reads at a time.
	page = 512
	// walkTimeout is how long the server keeps the position of a walk between two pages.
	walkTimeout = 5 * time.Minute
	// answerTimeout bounds the wait for a message if the context has no earlier deadline.
	answerTimeout = 5 * time.Second
	// emptyTimeout is how long a walk waits for the first message of a page before it
	// checks whether there is one.
	emptyTimeout = 300 * time.Millisecond
)

// A found is a key that a walk has found, with its entry, which may lack the value.
type found struct {
	key string
	entry
}

// A walk visits the last message of each name under a filter. A key that is written during
// the walk is visited again after the others, so a complete walk has visited every key that
// was present throughout the walk.
type walk struct {
	filter   string
	stream   jetstream.Stream
	consumer string
	inbox    *gonats.Subscription
	pending  uint64 // messages when it began
	received uint64 // messages so far
	last     uint64 // sequence number in the stream of the last message
	// delivered is how many messages the consumer has sent: a walk that goes on has another one.
	delivered uint64
}

// walk calls visit with all keys that begin with prefix, some at a time.
func (d *Driver) walk(ctx context.Context, operation, prefix string, visit func(jetstream.Stream, []found) error) error {
	words := wordsOf(prefix)
	filters := []string{d.subject + words + ">"}
	if words != "" {
		filters = append(filters, d.subject+hashedWord+".>")
	}
	for _, filter := range filters {
		if err := d.walkFilter(ctx, operation, prefix, filter, visit); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) walkFilter(ctx context.Context, operation, prefix, filter string, visit func(jetstream.Stream, []found) error) error {
	w := &walk{filter: filter}
	err := d.run(ctx, operation, -1, func(stream jetstream.Stream) error { return d.begin(ctx, w, stream) })
	if err != nil {
		return err
	}
	defer func() { w.end(ctx) }()
	for more := true; more; {
		var all []found
		err := d.run(ctx, operation, -1, func(jetstream.Stream) (err error) {
			all, more, err = d.next(ctx, w, prefix)
			return err
		})
		if err == nil && len(all) > 0 {
			err = visit(w.stream, all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin begins a walk, or goes on with one after the last message that it has received.
func (d *Driver) begin(ctx context.Context, w *walk, stream jetstream.Stream) error {
	config := jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		FilterSubject:     w.filter,
		HeadersOnly:       true,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: walkTimeout,
	}
	if w.received > 0 { // messages come in the order of the stream, which keeps one of each name
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, w.last+1
	}
	consumer, err := stream.CreateConsumer(ctx, config)
	if err != nil {
		return err
	}
	inbox, err := d.conn.SubscribeSync(d.conn.NewInbox())
	if err != nil {
		return err
	}
	if w.received == 0 {
		w.pending = consumer.CachedInfo().NumPending
	}
	w.stream, w.consumer, w.inbox, w.delivered = stream, consumer.CachedInfo().Name, inbox, 0
	return nil
}

// end ends the walk's consumer. If ctx has ended, the server deletes it after walkTimeout.
func (w *walk) end(ctx context.Context) {
	_ = w.inbox.Unsubscribe()
	_ = within.Do(ctx, func() error { return w.stream.DeleteConsumer(ctx, w.consumer) })
}

// next returns the next page of keys that begin with prefix, and whether there may be more. It
// does not use Fetch of nats.go, which returns no error when the server does not answer.
func (d *Driver) next(ctx context.Context, w *walk, prefix string) (all []found, more bool, err error) {
	subject := "$JS.API.CONSUMER.MSG.NEXT.KV_" + d.options.Bucket + "." + w.consumer
	request := fmt.Appendf(nil, `{"batch":%d,"no_wait":true}`, page)
	if err := d.conn.PublishRequest(subject, w.inbox.Subject, request); err != nil {
		return nil, false, err
	}
	for n := range page {
		timeout := answerTimeout
		if n == 0 {
			timeout = emptyTimeout
		}
		m, err := await(ctx, w.inbox, timeout)
		if errors.Is(err, errSilent) {
			// The server does not answer if messages were removed since the walk began. It may
			// then wait for some that it has counted and that are gone, and it may have skipped
			// others: a new consumer finds those.
			remaining, errRemaining := w.remaining(ctx)
			switch {
			case errRemaining != nil || !remaining:
				return all, false, errRemaining
			case w.delivered > 0:
				w.end(ctx)
				return all, true, d.begin(ctx, w, w.stream)
			case n == 0: // it may be slow
				m, err = await(ctx, w.inbox, answerTimeout)
			}
		}
		if err != nil {
			return nil, false, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "404", "408":
			// There was no further message at that moment. The walk ends after as many
			// messages as there were at its begin: with constant writes an empty page may
			// never come.
			return all, n > 0 && w.received < w.pending, nil
		default:
			return nil, false, fmt.Errorf("the server returned status %s %s", status, m.Header.Get("Description"))
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, false, err
		}
		w.received++
		if w.delivered++; meta.Sequence.Consumer != w.delivered {
			return nil, false, errors.New("the connection was lost, and messages with it")
		}
		w.last = meta.Sequence.Stream
		it, ok, err := d.found(ctx, w.stream, m, meta.Sequence.Stream, prefix)
		if err != nil {
			return nil, false, err
		}
		if ok {
			all = append(all, it)
		}
	}
	return all, true, nil
}

// remaining reports whether the stream has messages that the walk has not received.
func (w *walk) remaining(ctx context.Context) (bool, error) {
	_, err := w.stream.GetMsg(ctx, w.last+1, jetstream.WithGetMsgSubject(w.filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}

func await(ctx context.Context, inbox *gonats.Subscription, timeout time.Duration) (*gonats.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := inbox.NextMsgWithContext(limited)
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w for %s", errSilent, timeout)
	}
	return m, err
}

func (d *Driver) found(ctx context.Context, stream jetstream.Stream, m *gonats.Msg, sequence uint64, prefix string) (found, bool, error) {
	of := strings.TrimPrefix(m.Subject, d.subject)
	if hashed(of) {
		// The key is stored with the value.
		e, err := d.loadName(ctx, stream, of)
		return found{e.longKey, e}, name(e.longKey) == of && strings.HasPrefix(e.longKey, prefix), err
	}
	key, err := keyOf(of)
	if err != nil || !strings.HasPrefix(key, prefix) {
		return found{}, false, nil // an error: the name is of another tool
	}
	return found{key, parse(m.Header, nil, sequence)}, true, nil
}

// Scan calls f with the keys that begin with prefix, some of them at a time. See
// [drivers.Scanner].
func (d *Driver) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	return d.walk(ctx, "scan", prefix, func(_ jetstream.Stream, all []found) error {
		var keys []string
		now := now()
		for _, it := range all {
			if it.live(now) != nil {
				keys = append(keys, it.key)
			}
		}
		if len(keys) == 0 {
			return nil
		}
		return d.failed("scan", -1, f(keys))
	})
}

// DeletePrefix removes the keys that begin with prefix, and returns how many it has removed.
// See [drivers.PrefixDeleter].
func (d *Driver) DeletePrefix(ctx context.Context, prefix string) (int64, error) {
	var count int64
	err := d.walk(ctx, "delete prefix", prefix, func(_ jetstream.Stream, all []found) error {
		removed := make([]bool, len(all))
		err := d.run(ctx, "delete prefix", len(all), func(stream jetstream.Stream) error {
			return each(ctx, len(all), func(ctx context.Context, i int) (err error) {
				removed[i], err = d.remove(ctx, stream, all[i])
				return err
			})
		})
		if err != nil {
			return err
		}
		for _, done := range removed {
			if done {
				count++
			}
		}
		return nil
	})
	return count, err
}

// remove deletes the entry that a walk has found, or a later one of the same key, and returns
// whether it had a value.
func (d *Driver) remove(ctx context.Context, stream jetstream.Stream, it found) (live bool, err error) {
	gone := func(e entry) (entry, bool) {
		now := now()
		live = e.live(now) != nil
		return entry{}, live || e.leased(now)
	}
	if _, ok := gone(it.entry); !ok {
		return false, nil
	}
	done, err := d.replace(ctx, it.key, it.sequence, entry{})
	if full(err) {
		return live, stream.Purge(ctx, jetstream.WithPurgeSubject(d.subject+name(it.key)))
	}
	if done || err != nil {
		return live, err
	}
	_, err = d.change(ctx, stream, it.key, gone)
	return live, err
}

// Prune removes the expired items, and returns how many it has removed. Prune also removes the
// markers of deleted keys. See [drivers.Pruner].
func (d *Driver) Prune(ctx context.Context) (int64, error) {
	var count int64
	err := d.walk(ctx, "prune", "", func(stream jetstream.Stream, all []found) error {
		var ended []found
		now := now()
		for _, it := range all {
			if it.live(now) != nil || it.leased(now) {
				continue
			}
			ended = append(ended, it)
			if it.value != nil {
				count++
			}
		}
		return d.run(ctx, "prune", len(ended), func(jetstream.Stream) error {
			return each(ctx, len(ended), func(ctx context.Context, i int) error {
				// Up to the message that the walk has found, so that a later value stays.
				return stream.Purge(ctx, jetstream.WithPurgeSubject(d.subject+name(ended[i].key)), jetstream.WithPurgeSequence(ended[i].sequence+1))
			})
		})
	})
	return count, err
}
