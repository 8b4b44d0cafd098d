package nats

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/subscriptions"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

const (
	// DefaultPingInterval is the default of [BusOptions].PingInterval.
	DefaultPingInterval = time.Second

	// DefaultSubject is the default of [BusOptions].Subject.
	DefaultSubject = "cachegen"
)

// BusOptions of a [Bus].
type BusOptions struct {
	// Subject is the beginning of each channel's subject, followed by a dot and the
	// channel; [DefaultSubject] if empty. A channel is escaped as keys are: see the package
	// documentation.
	Subject string
	// PingInterval is how often a subscription pings the server; [DefaultPingInterval] if
	// zero. A server that does not answer for two intervals counts as disconnected, so a
	// lost server is noticed within three intervals. The connection itself is closed by
	// nats.go, after the PingInterval of its own options. A listener that wants to know of a
	// loss sooner ([drivers.LossListener]) has the server pinged more often.
	PingInterval time.Duration
}

// A Bus is a [drivers.Bus] on core NATS. Its subscriptions share the connection; each has a
// goroutine that watches the connection.
type Bus struct {
	conn   *gonats.Conn
	prefix string
	ping   time.Duration
	all    *subscriptions.Set
}

var (
	_ drivers.Bus            = (*Bus)(nil)
	_ drivers.MessageLimiter = (*Bus)(nil)
	_ drivers.Checker        = (*Bus)(nil)
)

// NewBus returns a bus on conn. conn stays open after Close; close it after the bus. NewBus
// sends nothing. If conn is nil or options are unusable, every operation of the bus fails,
// [Bus.Err] returns the reason, and runtime.NewStore refuses the bus.
func NewBus(conn *gonats.Conn, options BusOptions) *Bus {
	o := options
	o.Subject = cmp.Or(o.Subject, DefaultSubject)
	o.PingInterval = cmp.Or(o.PingInterval, DefaultPingInterval)
	var err error
	b := &Bus{conn: conn, prefix: o.Subject + ".", ping: o.PingInterval}
	switch {
	case conn == nil:
		err = errNoConnection
	case o.PingInterval < 0:
		err = fmt.Errorf("nats: PingInterval is %s, must not be negative", o.PingInterval)
	case strings.ContainsAny(o.Subject, " \t\r\n*>") || strings.Contains("."+b.prefix, ".."):
		err = fmt.Errorf("nats: subject %q: want words separated by dots, without spaces and wildcards", o.Subject)
	}
	b.all = subscriptions.New("nats", err)
	return b
}

// Err implements [drivers.Checker]: it returns why the bus is unusable, or nil.
func (b *Bus) Err() error { return b.all.Err() }

// Publish implements [drivers.Bus]. Its result does not say whether there are subscribers. A
// message larger than the server's max_payload is refused ([drivers.ErrRefused]).
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error {
		// A copy, because the call may return before the client has sent the message.
		m := &gonats.Msg{Subject: b.prefix + name(channel), Data: bytes.Clone(message)}
		err := within.Do(ctx, func() error { return b.publish(ctx, m) })
		if errors.Is(err, gonats.ErrMaxPayload) {
			return fmt.Errorf("%w: %w", drivers.ErrRefused, err)
		}
		if errors.Is(err, gonats.ErrConnectionClosed) {
			return fmt.Errorf("%w (%w)", drivers.ErrClosed, err)
		}
		return err
	})
}

// MaxMessage implements [drivers.MessageLimiter]: it returns the server's max_payload, and before
// the first connection the default of servers.
func (b *Bus) MaxMessage() int {
	const unknown = 1 << 20
	if b.conn == nil || b.conn.MaxPayload() <= 0 {
		return unknown
	}
	return int(b.conn.MaxPayload())
}

func (b *Bus) publish(ctx context.Context, m *gonats.Msg) error {
	if err := connected(b.conn); err != nil {
		return err // without this, nats.go would buffer the message
	}
	if err := b.conn.PublishMsg(m); err != nil {
		return err
	}
	// The server answers in order, so the answer to the flush follows the message.
	limited, cancel := context.WithTimeout(ctx, maxFlush)
	defer cancel()
	err := b.conn.FlushWithContext(limited)
	if limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w for %s", errSilent, maxFlush)
	}
	if err != nil {
		return err
	}
	return denied(b.conn, m.Subject)
}

// maxFlush bounds the wait for the answer if the context has no earlier deadline.
const maxFlush = 5 * time.Second

// denied returns the error of the server if the user has no permission for subject. nats.go
// keeps the error until it connects again, and permissions do not change before.
func denied(conn *gonats.Conn, subject string) error {
	err := conn.LastError()
	if errors.Is(err, gonats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`) {
		return err
	}
	return nil
}

// Subscribe implements [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{conn: b.conn, channel: channel, subject: b.prefix + name(channel), ping: subscriptions.Interval(l, b.ping), listener: l}
	return b.all.Subscribe(channel, s.run)
}

// Close implements [drivers.Bus]. It returns when no listener is called any more, and must
// not be called by a listener.
func (b *Bus) Close() error {
	return b.all.Close()
}
