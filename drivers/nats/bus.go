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

// BusOptions are the options of [NewBus]. The zero value is right for most programs.
type BusOptions struct {
	// Subject is the beginning of the subjects of the bus; [DefaultSubject] if empty. The
	// subject of a channel is Subject, a dot, and the channel, which is written as the keys of
	// the tier are: see the documentation of the package.
	Subject string
	// PingInterval is how often a subscription pings the server; [DefaultPingInterval] if
	// zero. If the server does not answer for two intervals, the subscription is disconnected.
	// So a server that is lost is noticed within three intervals. The connection itself is
	// closed by nats.go, which has an option PingInterval of its own.
	//
	// A listener can ask to be told of a loss sooner ([drivers.LossListener]). The listener of
	// a store asks for it if runtime.StampTrust is short. The server is then pinged more
	// often.
	PingInterval time.Duration
}

// A Bus is a [drivers.Bus] on core NATS. All subscriptions use the one connection of the
// program. Each has a goroutine that watches whether the connection is lost.
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

// NewBus returns a bus on conn. NewBus sends nothing. conn stays open when the bus is closed;
// close conn after the bus.
//
// If conn is nil, or an option is wrong, the bus cannot be used: every operation fails,
// [Bus.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as their
// error.
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

// Err returns why the bus cannot be used, or nil. See [drivers.Checker].
func (b *Bus) Err() error {
	if b.all == nil {
		return errors.New("nats: zero Bus: make it with nats.NewBus")
	}
	return b.all.Err()
}

// Publish sends message to all subscribers of channel. The result does not say whether there
// are any. A message larger than the server's max_payload is refused ([drivers.ErrRefused]).
// See [drivers.Bus].
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

// MaxMessage returns the max_payload of the server, in bytes. Before the first connection it
// returns 1 MB, the default of servers. See [drivers.MessageLimiter].
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

// Subscribe delivers the messages of channel to l until unsubscribe is called or the bus is
// closed. See [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{conn: b.conn, channel: channel, subject: b.prefix + name(channel), ping: subscriptions.Interval(l, b.ping), listener: l}
	return b.all.Subscribe(channel, s.run)
}

// Close ends every subscription, and returns when no listener is called any more. A listener
// must not call Close. Calling Close twice is safe. See [drivers.Bus].
func (b *Bus) Close() error {
	return b.all.Close()
}
