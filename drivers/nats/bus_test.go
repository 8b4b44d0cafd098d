package nats

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// openBus returns a bus that the test closes, before its connection.
func openBus(t *testing.T, conn *gonats.Conn, options BusOptions) *Bus {
	t.Helper()
	b := NewBus(conn, options)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBusConformance(t *testing.T) {
	server := servers.NATS(t)
	drivertest.Bus(t, func(t *testing.T) drivers.Bus { return openBus(t, dial(t, server), BusOptions{}) })
}

// race R24: a lost connection is noticed, also one that no packet tells of.
// race R25: a subscription made while the server is down comes up with it.
func TestBusFaults(t *testing.T) {
	server := servers.NATS(t)
	drivertest.BusFaults(t, func(t *testing.T) drivers.Bus {
		return openBus(t, dial(t, server), BusOptions{PingInterval: 100 * time.Millisecond})
	}, faults(t, server))
}

// events is a listener whose test takes one call after the other.
type events chan string

func (e events) Up()              { e <- "up" }
func (e events) Down(err error)   { e <- "down " + err.Error() }
func (e events) Message(m []byte) { e <- "message " + string(m) }

func (e events) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-e:
		if !strings.HasPrefix(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %q", want)
	}
}

func listen(t *testing.T, b *Bus, channel string) events {
	t.Helper()
	e := make(events, 100)
	stop, err := b.Subscribe(channel, e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return e
}

// A program can connect before there is a server.
func TestSubscribedBeforeTheServerIsThere(t *testing.T) {
	server := servers.NATS(t)
	server.Stop()
	b := openBus(t, dial(t, server, gonats.RetryOnFailedConnect(true)), BusOptions{})
	e := listen(t, b, "c")
	e.expect(t, "down")
	if err := b.Publish(t.Context(), "c", nil); !errors.Is(err, gonats.ErrDisconnected) {
		t.Errorf("publish: %v", err)
	}
	server.Restart(t)
	e.expect(t, "up")
	if err := b.Publish(t.Context(), "c", []byte("x")); err != nil {
		t.Error(err)
	}
	e.expect(t, "message x")
}

// nats.go connects again by itself; what was published meanwhile is lost, and the
// listener has to know, however short it was.
func TestAReplacedConnectionIsNoticed(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	e := listen(t, openBus(t, conn, BusOptions{}), "c")
	e.expect(t, "up")
	for range 5 {
		if err := conn.ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		e.expect(t, "down")
		e.expect(t, "up")
	}
}

func TestAClosedConnectionIsReported(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	b := openBus(t, conn, BusOptions{})
	e := listen(t, b, "c")
	e.expect(t, "up")
	conn.Close()
	e.expect(t, "down")
	late := listen(t, b, "c")
	late.expect(t, `down nats: subscription to "c": nats: connection closed`)
	if err := b.Publish(t.Context(), "c", nil); err == nil {
		t.Error("published on a closed connection")
	}
}

// A listener that blocks makes nats.go drop messages once its buffer is full.
func TestDroppedMessagesAreReported(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	b := openBus(t, conn, BusOptions{})
	blocked := make(chan struct{})
	e := blocking{make(events, 1000), blocked}
	stop, err := b.Subscribe("c", e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	e.expect(t, "up")
	payload := make([]byte, 1<<20)
	const limit = gonats.DefaultSubPendingBytesLimit >> 20
	for range limit + 10 {
		if err := b.Publish(t.Context(), "c", payload); err != nil {
			t.Fatal(err)
		}
	}
	close(blocked)
	for {
		got := <-e.events
		if strings.HasPrefix(got, "down") {
			if !strings.Contains(got, gonats.ErrSlowConsumer.Error()) {
				t.Errorf("got %q", got)
			}
			break
		}
	}
	for {
		if got := <-e.events; got == "up" {
			return
		}
	}
}

type blocking struct {
	events
	until <-chan struct{}
}

func (b blocking) Message(m []byte) { <-b.until; b.events.Message(m[:1]) }

func TestPermissions(t *testing.T) {
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte(`
		authorization {
			users = [{user: u, password: p, permissions: {
				publish: {allow: ["cachegen.open", "cachegen.deaf"]}
				subscribe: {allow: ["cachegen.open", "cachegen.mute"]}
			}}]
		}
	`), 0o600); err != nil {
		t.Fatal(err)
	}
	server := servers.NATS(t, "--config", config)
	if _, err := gonats.Connect(server.URL(), gonats.UserInfo("u", "wrong")); !errors.Is(err, gonats.ErrAuthorization) {
		t.Fatalf("a wrong password: %v", err)
	}
	conn := dial(t, server, gonats.UserInfo("u", "p"))
	b := openBus(t, conn, BusOptions{PingInterval: 50 * time.Millisecond})
	e := listen(t, b, "open")
	e.expect(t, "up")
	if err := b.Publish(t.Context(), "open", []byte("x")); err != nil {
		t.Error(err)
	}
	e.expect(t, "message x")
	deaf := listen(t, b, "deaf")
	deaf.expect(t, `down nats: subscription to "deaf": nats: permissions violation`)
	if err := b.Publish(t.Context(), "mute", nil); !errors.Is(err, gonats.ErrPermissionViolation) {
		t.Errorf("publish: %v", err)
	}
	if err := b.Publish(t.Context(), "open", []byte("y")); err != nil {
		t.Error(err)
	}
	e.expect(t, "message y")
	// Another error on the connection does not make up for the first.
	if err := conn.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "down")
	e.expect(t, "up")
	select {
	case got := <-deaf:
		t.Errorf("a subscription that is not allowed: %q", got)
	default:
	}
	// JetStream is not allowed either, and its requests get no answer.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := New(conn, Options{}).GetMany(ctx, []string{"a"})
	if !errors.Is(err, gonats.ErrPermissionViolation) {
		t.Errorf("get: %v", err)
	}
}

func TestAMessageThatIsTooLargeIsRefused(t *testing.T) {
	b := openBus(t, dial(t, servers.NATS(t)), BusOptions{})
	if err := b.Publish(t.Context(), "c", make([]byte, maxPayload+1)); !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("error %v", err)
	}
	if err := b.Publish(t.Context(), "c", make([]byte, maxPayload)); err != nil {
		t.Error(err)
	}
}
