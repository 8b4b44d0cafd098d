package nats

import (
	"bytes"
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
	// DefaultPingInterval is what a [BusOptions] with zero means.
	DefaultPingInterval = time.Second

	// DefaultSubject is what an empty prefix of subjects means.
	DefaultSubject = "cachegen"
)

// BusOptions of a [Bus].
type BusOptions struct {
	// Subject is in front of each channel's subject, with a dot between;
	// [DefaultSubject] if empty. The channel is escaped as keys are, see above.
	Subject string
	// PingInterval is how often a subscription asks whether the server is there. One
	// that does not answer for two intervals counts as lost, so it is noticed within
	// three. The connection itself is given up by nats.go, as its own PingInterval says.
	PingInterval time.Duration
}

// Bus implements [drivers.Bus] on core NATS. Its subscriptions share the connection;
// each has a goroutine that watches it.
type Bus struct {
	conn   *gonats.Conn
	prefix string
	ping   time.Duration
	all    *subscriptions.Set
}

var (
	_ drivers.Bus     = (*Bus)(nil)
	_ drivers.Checker = (*Bus)(nil)
)

// NewBus returns a bus on conn, which stays the caller's to close, after the bus. It
// sends nothing. Of options, at most one is used.
func NewBus(conn *gonats.Conn, options ...BusOptions) *Bus {
	var o BusOptions
	if len(options) > 0 {
		o = options[0]
	}
	if o.Subject == "" {
		o.Subject = DefaultSubject
	}
	if o.PingInterval == 0 {
		o.PingInterval = DefaultPingInterval
	}
	var err error
	b := &Bus{conn: conn, prefix: o.Subject + ".", ping: o.PingInterval}
	switch {
	case conn == nil:
		err = errNoConnection
	case o.PingInterval < 0:
		err = fmt.Errorf("nats: PingInterval is %s, must not be negative", o.PingInterval)
	case strings.ContainsAny(o.Subject, " \t\r\n*>") || strings.Contains("."+b.prefix, ".."):
		err = fmt.Errorf("nats: subject %q: want words with dots between, without spaces and wildcards", o.Subject)
	}
	b.all = subscriptions.New("nats", err)
	return b
}

// Err returns what makes the bus unusable, or nil.
func (b *Bus) Err() error { return b.all.Err() }

// Publish implements [drivers.Bus]. It says nothing about whether anybody listens. A
// message holds what the server's max_payload says; a larger one is refused.
func (b *Bus) Publish(ctx context.Context, channel string, message []byte) error {
	return b.all.Publish(ctx, channel, func() error {
		// The copy is for a call that its context ends before the client has taken it.
		m := &gonats.Msg{Subject: b.prefix + name(channel), Data: bytes.Clone(message)}
		err := within.Do(ctx, func() error { return b.publish(ctx, m) })
		if errors.Is(err, gonats.ErrMaxPayload) {
			return fmt.Errorf("%w: %w", drivers.ErrRefused, err)
		}
		return err
	})
}

func (b *Bus) publish(ctx context.Context, m *gonats.Msg) error {
	if err := connected(b.conn); err != nil {
		return err // nats.go would keep it for later
	}
	if err := b.conn.PublishMsg(m); err != nil {
		return err
	}
	// The server answers in order.
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

// maxFlush bounds the wait for an answer where a context does not.
const maxFlush = 5 * time.Second

// denied returns the error that the server has sent if subject is not allowed. nats.go
// keeps it until it connects again, and a permission changes no sooner.
func denied(conn *gonats.Conn, subject string) error {
	err := conn.LastError()
	if errors.Is(err, gonats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`) {
		return err
	}
	return nil
}

// Subscribe implements [drivers.Bus].
func (b *Bus) Subscribe(channel string, l drivers.Listener) (unsubscribe func(), err error) {
	s := &subscription{conn: b.conn, channel: channel, subject: b.prefix + name(channel), ping: b.ping, listener: l}
	return b.all.Subscribe(channel, s.run)
}

// Close implements [drivers.Bus]. It returns when no listener is called any more,
// and must not be called from one.
func (b *Bus) Close() error {
	return b.all.Close()
}
