package pgxbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// running is the one server of this package's tests.
var running = servers.Shared[*servers.PostgresServer]{
	Require: servers.RequirePostgres,
	Start:   func() (*servers.PostgresServer, error) { return servers.StartPostgres() },
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(running.Around(m)) }

func openPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// openBus returns a bus that the test closes, before its pool.
func openBus(t testing.TB, pool *pgxpool.Pool, options Options) *Bus {
	t.Helper()
	b := New(pool, options)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	url := running.Of(t).URL()
	drivertest.Bus(t, func(t *testing.T) drivers.Bus { return openBus(t, openPool(t, url), Options{}) })
}

// race R24: a lost connection is noticed, also one that no packet tells of.
// race R25: a subscription made while the server is down comes up with it.
func TestFaults(t *testing.T) {
	s := running.Of(t)
	drivertest.BusFaults(t, func(t *testing.T) drivers.Bus {
		return openBus(t, openPool(t, s.URL()), Options{PingInterval: 50 * time.Millisecond})
	}, drivertest.Faults{
		Stop: s.Stop, Restart: func() { s.Restart(t) },
		Pause: func() { s.Pause(t) }, Resume: func() { s.Resume(t) },
	})
}

type events chan string

func (e events) Up()              { e <- "up" }
func (e events) Down(err error)   { e <- "down " + err.Error() }
func (e events) Message(m []byte) { e <- "message " + string(m) }

func (e events) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-e:
		if !strings.HasPrefix(got, want) {
			t.Fatalf("got %.80q, want %.80q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no %.80q", want)
	}
}

// race R24: a connection that the server ends must not leave a subscription that seems
// up.
func TestReconnectsAfterItsConnectionWasEnded(t *testing.T) {
	pool := openPool(t, running.Of(t).URL())
	b := openBus(t, pool, Options{})
	e := make(events, 10)
	if _, err := b.Subscribe("ended", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")
	for range 3 {
		if _, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN "ended"'`); err != nil {
			t.Fatal(err)
		}
		e.expect(t, `down pgxbus: subscription to "ended": `)
		e.expect(t, "up")
	}
	if err := b.Publish(t.Context(), "ended", []byte("x")); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "message x")
}

// Parts of long messages from several publishers must not get mixed.
// Kind: a connection that was cut counts as an outage.
func TestTerminatedConnectionsOfThePoolAreReplaced(t *testing.T) {
	s := running.Of(t)
	pool := openPool(t, s.URL()+"&application_name=terminated")
	b := openBus(t, pool, Options{})
	var open []*pgxpool.Conn
	for range 4 {
		c, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	for _, c := range open {
		c.Release()
	}
	if _, err := openPool(t, s.URL()).Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'terminated'`); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "terminated", []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestLongMessages(t *testing.T) {
	const publishers, each = 4, 10
	pool := openPool(t, running.Of(t).URL())
	b := openBus(t, pool, Options{})
	e := make(events, 2*publishers*each)
	if _, err := b.Subscribe("long", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")
	var wg sync.WaitGroup
	want := make(map[string]bool)
	for p := range publishers {
		var messages [][]byte
		for i := range each {
			message := bytes.Repeat(fmt.Appendf(nil, "%d.%d|", p, i), 1+i*5000)
			messages = append(messages, message)
			want["message "+string(message)] = true
		}
		wg.Go(func() {
			for _, message := range messages {
				if err := b.Publish(t.Context(), "long", message); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range publishers * each {
		got := <-e
		if !want[got] {
			t.Errorf("got %.40q of %d bytes, which nobody published, or not again", got, len(got))
		}
		delete(want, got)
	}
}

// What others notify on the same channel is not a message, and does no harm.
func TestForeignNotifications(t *testing.T) {
	pool := openPool(t, running.Of(t).URL())
	b := openBus(t, pool, Options{})
	e := make(events, 10)
	if _, err := b.Subscribe("foreign", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "up")
	for _, payload := range []string{"", "x", "0:1:%", "1:2:eA", "0:0:eA", "-1:2:eA", "0:2:eA"} {
		if _, err := pool.Exec(t.Context(), "SELECT pg_notify('foreign', $1)", payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Publish(t.Context(), "foreign", []byte("x")); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "message x")
}

func TestSubscriptionsNeedNoPlaceInThePool(t *testing.T) {
	pool := openPool(t, running.Of(t).URL()+"&pool_max_conns=1")
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := openBus(t, pool, Options{})
	for i := range 3 {
		e := make(events, 10)
		if _, err := b.Subscribe(fmt.Sprint("place", i), e); err != nil {
			t.Fatal(err)
		}
		e.expect(t, "up")
	}
	held.Release()
}

func TestThePoolsBeforeConnectIsUsed(t *testing.T) {
	config, err := pgxpool.ParseConfig(strings.Replace(running.Of(t).URL(), "secret", "wrong", 1))
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]string{
		"secret": "up", "wrong": `down pgxbus: subscription to "before": `,
	} {
		config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { c.Password = password; return nil }
		pool, err := pgxpool.NewWithConfig(t.Context(), config.Copy())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		e := make(events, 10)
		if _, err := openBus(t, pool, Options{}).Subscribe("before", e); err != nil {
			t.Fatal(err)
		}
		e.expect(t, want)
	}
}

func TestWrongCredentialsAreAnError(t *testing.T) {
	b := openBus(t, openPool(t, strings.Replace(running.Of(t).URL(), "secret", "guessed", 1)), Options{})
	e := make(events, 10)
	if _, err := b.Subscribe("c", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, `down pgxbus: subscription to "c": `)
	err := b.Publish(t.Context(), "c", nil)
	if err == nil || !strings.HasPrefix(err.Error(), `pgxbus: publish on "c": `) || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("publish: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "guessed") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestAClosedPoolIsAnError(t *testing.T) {
	pool := openPool(t, running.Of(t).URL())
	b := openBus(t, pool, Options{})
	pool.Close()
	if err := b.Publish(t.Context(), "c", nil); err == nil || !strings.HasPrefix(err.Error(), `pgxbus: publish on "c": `) || !strings.Contains(err.Error(), "closed pool") || !errors.Is(err, drivers.ErrClosed) {
		t.Errorf("publish: %v", err)
	}
}

// NOTIFY is not for a replica.
func TestAStandbyIsAnError(t *testing.T) {
	b := openBus(t, openPool(t, running.Of(t).Standby(t).URL()), Options{})
	e := make(events, 10)
	if _, err := b.Subscribe("c", e); err != nil {
		t.Fatal(err)
	}
	e.expect(t, `down pgxbus: subscription to "c": `)
	if err := b.Publish(t.Context(), "c", nil); err == nil || !strings.HasPrefix(err.Error(), `pgxbus: publish on "c": `) || !strings.Contains(err.Error(), "recovery") {
		t.Errorf("publish: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, b := range []*Bus{New(nil, Options{}), New(openPool(t, "postgres://localhost:1/x"), Options{PingInterval: -1})} {
		if b.Err() == nil {
			t.Error("accepted")
		}
		if _, err := b.Subscribe("c", make(events)); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("use of it: %v", err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestChannelsKeepTheirNamesWherePostgresTakesThem(t *testing.T) {
	seen := make(map[string]string)
	for _, channel := range []string{
		"cachegen:main", `a"b`, "", "ä", "\xff", "a\x00", "a\nb", strings.Repeat("c", 63), strings.Repeat("c", 64), strings.Repeat("c", 65),
		"sha256:x", identifier(""),
	} {
		got := identifier(channel)
		if len(got) == 0 || len(got) > 63 || seen[got] != "" {
			t.Errorf("%.20q: %q, as %q", channel, got, seen[got])
		}
		seen[got] = fmt.Sprintf("%q", channel)
	}
	for _, kept := range []string{"cachegen:main", `a"b`, strings.Repeat("c", 63)} {
		if identifier(kept) != kept {
			t.Errorf("%q became %q", kept, identifier(kept))
		}
	}
}
