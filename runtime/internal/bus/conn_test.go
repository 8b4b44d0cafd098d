package bus

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

type recorder struct{ calls []string }

func (r *recorder) Connected()         { r.calls = append(r.calls, "connected") }
func (r *recorder) Disconnected()      { r.calls = append(r.calls, "disconnected") }
func (r *recorder) Received(m Message) { r.calls = append(r.calls, m.Kind.String()+" "+m.Names[0]) }
func (r *recorder) Changed([]string)   { r.calls = append(r.calls, "changed") }

func join(t *testing.T, b *faketier.Bus, origin uint64) (*Conn, *recorder) {
	r := &recorder{}
	c := New(b, emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{}), "app:", origin, time.Second, time.Minute)
	if err := c.Join(r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, r
}

func TestOthersHearWhatAStorePublishesAndItDoesNotHearItself(t *testing.T) {
	var b faketier.Bus
	one, heardByOne := join(t, &b, 1)
	_, heardByTwo := join(t, &b, 2)
	if err := one.Publish(t.Context(), Drop, []string{"app:user:1"}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"connected", "drop app:user:1"}; !slices.Equal(heardByTwo.calls, want) {
		t.Error(heardByTwo.calls)
	}
	if want := []string{"connected"}; !slices.Equal(heardByOne.calls, want) {
		t.Error(heardByOne.calls)
	}
}

func TestALostConnectionIsTold(t *testing.T) {
	var b faketier.Bus
	c, r := join(t, &b, 1)
	if c.DisconnectedSince() != 0 || c.WaitConnected(t.Context()) != nil {
		t.Fatal("not connected")
	}
	b.Cut(true)
	if c.DisconnectedSince() == 0 {
		t.Error("connected although the bus is cut")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.WaitConnected(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.Publish(t.Context(), Drop, []string{"k"}); !errors.Is(err, faketier.ErrCut) {
		t.Error(err)
	}
	b.Cut(false)
	if want := []string{"connected", "disconnected", "connected"}; !slices.Equal(r.calls, want) || c.DisconnectedSince() != 0 {
		t.Error(r.calls)
	}
}

func TestAStoreWithoutABusPublishesToNobody(t *testing.T) {
	var c *Conn
	if c.Publish(t.Context(), Drop, []string{"k"}) != nil || c.DisconnectedSince() != 0 || c.WaitConnected(t.Context()) != nil || c.Close() != nil {
		t.Fatal("a nil Conn does something")
	}
}

// race R49: since when messages may be missed counts from when the bus was heard last, and
// not from when somebody noticed.
func TestALossCountsFromTheLastThingHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b faketier.Bus
		c, _ := join(t, &b, 1)
		l := (*listener)(c)
		if l.MaxSilence() != time.Minute {
			t.Error(l.MaxSilence())
		}
		heard := time.Now()
		time.Sleep(time.Minute)
		l.DownSince(heard, faketier.ErrCut)
		if since := c.DisconnectedSince(); since != heard.UnixNano() {
			t.Errorf("%v late", time.Duration(since-heard.UnixNano()))
		}
		l.DownSince(time.Now(), faketier.ErrCut) // it is lost already
		if since := c.DisconnectedSince(); since != heard.UnixNano() {
			t.Error("it was lost a second time")
		}
		l.Up()
		l.DownSince(time.Now().Add(time.Hour), faketier.ErrCut)
		if since := c.DisconnectedSince(); since != time.Now().UnixNano() {
			t.Error("lost in the future")
		}
	})
}
