package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/background"
	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/flight"
	"github.com/cachegen/cachegen/runtime/internal/pending"
	"github.com/cachegen/cachegen/runtime/internal/random"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
	"github.com/cachegen/cachegen/runtime/internal/waiters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	timeout = time.Second // of the tier
	ttl     = 2 * time.Second
	kind    = 7 // the fingerprint of what is loaded
)

// A node is the leases of one process.
type node struct {
	*Leases
	conn    *faketier.Conn
	work    *background.Work
	waiters waiters.Waiters
	told    []string // keys whose leases have ended
}

func newNode(t *testing.T, tier *faketier.Shared) *node {
	n := &node{conn: &faketier.Conn{Tier: tier}, work: background.New(1)}
	source := random.ForStore(fmt.Sprint(t.Name(), nodes.Add(1)))
	e := emit.New("test", slog.New(slog.DiscardHandler), event.Hooks{})
	r := remote.New(remote.Config{
		Driver: n.conn, Timeout: timeout, StampTrust: timeout, BreakFor: time.Millisecond,
		Stamps: stamp.NewTable(source), Pending: new(pending.Queue), Work: n.work, Emit: e,
		Fail: func(_ string, err error) error { return err },
	})
	n.Leases = New(r, &n.waiters, n.work, e, source)
	n.TTL = ttl
	n.Filled = func(keys []string) { n.told = append(n.told, keys...) }
	t.Cleanup(func() {
		n.Stop()
		_, idle := n.work.Close()
		<-idle
		n.work.Cancel()
	})
	return n
}

var nodes atomic.Int64

// A poison says whether what is loaded may not be stored.
type poison struct{ atomic.Bool }

func (p *poison) Poisoned() bool { return p.Load() }

// A want is a load that notes what becomes of its keys.
type want struct {
	Holding
	batchOf   flight.Batch
	refreshes bool
	onChanged func(k *Key) // what Changed does with a key; nil: it ends the key
	notes     []string
	flights   map[string]*poison
}

func (n *node) begin() *want {
	w := &want{flights: make(map[string]*poison)}
	w.Holding.Begin(n.Leases, w, &w.batchOf, kind)
	return w
}

func (w *want) note(k *Key, what string) {
	w.notes = append(w.notes, what+" "+k.Name)
}

func (w *want) Refreshes() bool { return w.refreshes }

func (w *want) Changed(_ context.Context, keys []*Key) {
	for _, k := range keys {
		w.note(k, "changed")
		if w.onChanged != nil {
			w.onChanged(k)
		} else {
			k.Ended = true
		}
	}
}

func (w *want) Elsewhere(_ context.Context, k *Key) { w.note(k, "elsewhere") }
func (w *want) Waited(_ context.Context, k *Key)    { w.note(k, "waited") }

func (w *want) Again(k *Key) {
	w.note(k, "again")
	k.Ended = true
}

func (w *want) Cancelled(k *Key, err error) {
	w.note(k, "cancelled: "+err.Error())
	k.Ended = true
}

func (w *want) keys(names ...string) (keys []*Key) {
	for i, name := range names {
		if w.flights[name] == nil {
			w.flights[name] = new(poison)
		}
		keys = append(keys, &Key{Name: name, Index: i, Flight: w.flights[name]})
	}
	return keys
}

func (w *want) ask(t *testing.T, names ...string) Outcome {
	t.Helper()
	return w.Ask(t.Context(), w.keys(names...))
}

// names returns the names of keys, with a star where the load has the lease.
func names(keys []*Key) string {
	var all []string
	for _, k := range keys {
		name := k.Name
		if k.Taken {
			name += "*"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func (o Outcome) String() string {
	return fmt.Sprintf("ready %s, waiting %s, later %s", names(o.Ready), names(o.Waiting), names(o.Later))
}

func expect(t *testing.T, got fmt.Stringer, want string) {
	t.Helper()
	if got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func free(t *testing.T, tier *faketier.Shared, key string) {
	t.Helper()
	if token, until := tier.Leased(key); token != "" {
		t.Errorf("%s has the lease of %s for %v", token, key, time.Until(until))
	}
}

// leftOver returns how many keys wait to be given back.
func (n *node) leftOver() int {
	n.returns.mu.Lock()
	defer n.returns.mu.Unlock()
	return n.returns.keys
}

// after waits for a time, and for what happens at its end.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func bubble(t *testing.T, f func(t *testing.T, tier *faketier.Shared)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, new(faketier.Shared)) })
}

func TestOneOfTwoProcessesHasTheLeaseAndTheOtherGetsTheValue(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		one, two := newNode(t, tier).begin(), newNode(t, tier).begin()
		defer two.Close()
		expect(t, one.ask(t, "a", "b"), "ready a* b*, waiting , later ")
		waiting := two.ask(t, "a", "c")
		expect(t, waiting, "ready c*, waiting a, later ")
		two.Release("c")
		time.AfterFunc(5*time.Second, func() { // longer than the lease lasts if it is not renewed
			filled := one.Fill(t.Context(), []drivers.Item{{Key: "a", Value: []byte("v")}})
			if len(filled) != 1 || filled[0] != (Filled{Stored: true}) {
				t.Error(filled)
			}
			if one.Has("a") || !one.Has("b") {
				t.Error("the lease of what was stored has ended, and no other")
			}
			one.Close()
		})
		expect(t, two.Await(t.Context(), waiting.Waiting, time.Hour), "ready , waiting , later ")
		if got := two.notes; got[0] != "elsewhere a" || got[len(got)-1] != "changed a" {
			t.Errorf("%q", got)
		}
		synctest.Wait()
		free(t, tier, "a")
		free(t, tier, "b")
		free(t, tier, "c")
	})
}

// race R50: an attempt whose outcome is unclear has a token of its own, under which nothing is
// stored. It is given back again and again, also where that fails, until it is certain that it can
// have no effect any more.
func TestAnUnclearAttemptIsGivenBackUntilItIsCertain(t *testing.T) {
	lost := errors.New("the answer is lost")
	for name, late := range map[string]time.Duration{"the answer is lost": 0, "it comes late": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, tier *faketier.Shared) {
				n := newNode(t, tier)
				var releases atomic.Int64
				const failing = 3
				n.conn.SetBefore(func(_ context.Context, op string, _ []string) error {
					switch {
					case op == "release":
						if releases.Add(1) <= failing {
							return lost
						}
					case op == "lease" && late > 0:
						return lost
					}
					return nil
				})
				n.conn.SetAfter(func(_ context.Context, op string, _ []string) error {
					if op == "lease" {
						return lost
					}
					return nil
				})
				w := n.begin()
				got := w.ask(t, "a")
				expect(t, got, "ready a, waiting , later ")
				if w.Has("a") {
					t.Error("the load has a lease of which it does not know")
				}
				if filled := w.Fill(t.Context(), []drivers.Item{{Key: "a", Value: []byte("v")}}); filled[0].Stored || tier.Keys()["a"] != nil {
					t.Error("stored without a lease")
				}
				w.Close()
				token := ""
				if late > 0 { // the request takes effect when it was given back already
					after(late)
					n.returns.mu.Lock()
					if len(n.returns.waiting) == 1 {
						token = n.returns.waiting[0].token
					}
					n.returns.mu.Unlock()
					if _, err := tier.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: token, TTL: time.Hour}); err != nil {
						t.Fatal(err)
					}
				}
				after(2*timeout + lastAgain + 1 - late)
				free(t, tier, "a")
				before := releases.Load()
				if before <= failing {
					t.Errorf("given back %d times", before)
				}
				after(time.Hour)
				if more := releases.Load() - before; more != 0 || n.leftOver() != 0 {
					t.Errorf("given back %d times more although it is certain, %d keys are left", more, n.leftOver())
				}
			})
		})
	}
}

// What cannot be given back ends by itself, and is then not tried any more.
func TestGivingBackEndsWithTheLease(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		w := n.begin()
		expect(t, w.ask(t, "a"), "ready a*, waiting , later ")
		began := time.Now()
		var last atomic.Int64 // since began
		n.conn.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "release" {
				last.Store(int64(time.Since(began)))
			}
			return errors.New("away")
		})
		w.Close()
		after(time.Hour)
		if d := time.Duration(last.Load()); d < ttl || d > 2*ttl || n.leftOver() != 0 {
			t.Errorf("tried for %v, %d keys are left", d, n.leftOver())
		}
	})
}

// While a load runs its leases are renewed, those that it can still use, and no longer than it
// has them.
func TestRenewalStopsWithTheKey(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		w := n.begin()
		defer w.Close()
		expect(t, w.ask(t, "stays", "released", "poisoned", "changed", "filled"), "ready stays* released* poisoned* changed* filled*, waiting , later ")
		w.Release("released")
		w.flights["poisoned"].Store(true)
		if err := tier.DeleteMany(t.Context(), []string{"changed"}); err != nil {
			t.Fatal(err)
		}
		w.Fill(t.Context(), []drivers.Item{{Key: "filled", Value: []byte("v")}})
		renewed := make(map[string]int)
		n.conn.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "renew" {
				for _, key := range keys {
					renewed[key]++
				}
			}
			return nil
		})
		after(10 * ttl)
		if token, _ := tier.Leased("stays"); token == "" || !w.Has("stays") {
			t.Error("the lease has ended while the load runs")
		}
		if n := renewed["stays"]; n < 20 || n > 31 {
			t.Errorf("renewed %d times", n)
		}
		if renewed["released"]+renewed["poisoned"]+renewed["filled"] > 0 || renewed["changed"] != 1 {
			t.Error(renewed)
		}
		free(t, tier, "poisoned")
		if w.Has("changed") {
			t.Error("the load has the lease of a key that was changed")
		}
		w.Close()
		synctest.Wait()
		before := renewed["stays"]
		after(10 * ttl)
		if renewed["stays"] != before {
			t.Error("renewed after the load has ended")
		}
		free(t, tier, "stays")
	})
}

// A load that was begun beside another of its process shares its lease. It is given back when
// both have ended, and nobody else gets it before.
func TestHoldingsShareALease(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		one, two, other := n.begin(), n.begin(), newNode(t, tier).begin()
		defer other.Close()
		expect(t, one.ask(t, "a"), "ready a*, waiting , later ")
		beside := two.keys("a")
		beside[0].Share, beside[0].Seen = true, []byte("seen")
		token, _ := tier.Leased("a")
		expect(t, two.Ask(t.Context(), beside), "ready a*, waiting , later ")
		if now, _ := tier.Leased("a"); now != token || !one.Has("a") {
			t.Error("the other has lost it")
		}
		if beside[0].Seen != nil {
			t.Error("what the tier held when the lease was taken is not known")
		}
		one.Close()
		after(3 * ttl)
		expect(t, other.ask(t, "a"), "ready , waiting a, later ")
		if filled := two.Fill(t.Context(), []drivers.Item{{Key: "a", Value: []byte("v")}}); !filled[0].Stored {
			t.Error(filled)
		}
		two.Close()
		synctest.Wait()
		free(t, tier, "a")
	})
}

// A lease of this store that no load has any more, or whose answer was lost, is in nobody's way
// here.
func TestWhatThisStoreHasLeftBehindIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		lost := true
		n.conn.SetAfter(func(_ context.Context, op string, _ []string) error {
			if op == "lease" && lost || op == "release" && lost {
				return errors.New("lost")
			}
			return nil
		})
		n.conn.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "release" && lost {
				return errors.New("lost")
			}
			return nil
		})
		one := n.begin()
		expect(t, one.ask(t, "a"), "ready a, waiting , later ")
		one.Close()
		synctest.Wait()
		lost = false
		two := n.begin()
		defer two.Close()
		expect(t, two.ask(t, "a"), "ready a*, waiting , later ")
	})
}

// Who waits looks again at once when he is told, and by himself at distances that grow and differ.
func TestWhoWaitsLooksAgain(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		holder, n := newNode(t, tier).begin(), newNode(t, tier)
		defer holder.Close()
		holder.ask(t, "a")
		w := n.begin()
		waiting := w.ask(t, "a").Waiting
		var looks []time.Duration
		last := time.Now()
		n.conn.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "lease" {
				looks = append(looks, time.Since(last))
				last = time.Now()
			}
			return nil
		})
		began := time.Now()
		all := w.Await(t.Context(), waiting, 5*time.Second)
		expect(t, all, "ready a, waiting , later ")
		if d := time.Since(began); d != 5*time.Second || !slices.Contains(w.notes, "waited a") {
			t.Errorf("waited %v, %q", d, w.notes)
		}
		if n := len(looks); n < 20 || n > 60 {
			t.Errorf("looked %d times", n)
		}
		for i, d := range looks {
			most := min(firstLook<<min(i, 10), lastLook)
			if d > most || d < most/2 {
				t.Errorf("look %d after %v", i, d)
			}
		}
		if slices.Max(looks[10:]) == slices.Min(looks[10:]) {
			t.Error("all processes look at the same time")
		}
		// Awake at once.
		looks = nil
		time.AfterFunc(3*time.Millisecond, func() { n.waiters.Wake("a") })
		last = time.Now()
		two := n.begin()
		waiting = two.ask(t, "a").Waiting
		looks, last = nil, time.Now()
		two.Await(t.Context(), waiting, 4*time.Millisecond)
		if len(looks) != 1 || looks[0] != 3*time.Millisecond {
			t.Error(looks)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("left")) })
		three := n.begin()
		expect(t, three.Await(ctx, three.ask(t, "a").Waiting, time.Hour), "ready , waiting , later ")
		if !slices.Contains(three.notes, "cancelled: left a") {
			t.Errorf("%q", three.notes)
		}
	})
}

// A source that fails is not asked by one process after the other, each of which waits for all before
// it.
func TestAfterSomeWhoEndedWithoutAValueNobodyWaits(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		w := newNode(t, tier).begin()
		defer w.Close()
		keys := w.keys("a")
		for i := range mostHolders + 1 {
			holder := newNode(t, tier).begin()
			holder.ask(t, "a")
			got := w.Ask(t.Context(), keys)
			if i < mostHolders {
				expect(t, got, "ready , waiting a, later ")
				expect(t, w.Ask(t.Context(), keys), "ready , waiting a, later ") // the same one counts once
			} else {
				expect(t, got, "ready a, waiting , later ")
			}
			holder.Close()
			synctest.Wait()
		}
	})
}

func TestWhoIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		holder := newNode(t, tier).begin()
		defer holder.Close()
		holder.ask(t, "a")
		other := newNode(t, tier).begin()
		defer other.Close()
		other.fingerprint = kind + 1
		expect(t, other.ask(t, "a"), "ready a, waiting , later ")
		w := newNode(t, tier).begin()
		defer w.Close()
		impatient := w.keys("a")
		impatient[0].Impatient = true
		expect(t, w.Ask(t.Context(), impatient), "ready a, waiting , later ")
		held := w.keys("held")
		if _, err := tier.LeaseMany(t.Context(), []string{"held"}, drivers.LeaseRequest{Token: "lag:1", TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		expect(t, w.Ask(t.Context(), held), "ready held, waiting , later ")
		if !held[0].Lagging {
			t.Error("it is held back")
		}
		forced := w.keys("a")
		forced[0].Forced = true
		expect(t, w.Ask(t.Context(), forced), "ready a*, waiting , later ")
		if filled := holder.Fill(t.Context(), []drivers.Item{{Key: "a", Value: []byte("old")}}); filled[0].Stored || filled[0].Err != nil {
			t.Error(filled)
		}
		poisoned := w.keys("p")
		w.flights["p"].Store(true)
		expect(t, w.Ask(t.Context(), poisoned), "ready , waiting , later ")
		if !slices.Contains(w.notes, "again p") {
			t.Errorf("%q", w.notes)
		}
	})
}

// Who has waited for a lease is told when it ends, whether by a value or without one.
func TestThatAnAwaitedLeaseHasEndedIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		w := n.begin()
		w.ask(t, "filled", "released", "nobody")
		other := newNode(t, tier).begin()
		defer other.Close()
		other.ask(t, "filled", "released")
		w.Fill(t.Context(), []drivers.Item{{Key: "filled", Value: []byte("v")}})
		w.Close()
		synctest.Wait()
		if !slices.Equal(n.told, []string{"filled", "released"}) {
			t.Errorf("told of %q", n.told)
		}
	})
}

// A tier that refuses one of many values keeps the others.
func TestARefusedValueKeepsNoOtherFromBeingStored(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		w := n.begin()
		defer w.Close()
		w.ask(t, "good", "bad")
		n.conn.SetBefore(func(_ context.Context, op string, keys []string) error {
			if op == "fill" && slices.Contains(keys, "bad") {
				return drivers.ErrRefused
			}
			return nil
		})
		filled := w.Fill(t.Context(), []drivers.Item{{Key: "bad", Value: []byte("v")}, {Key: "good", Value: []byte("v")}, {Key: "none", Value: []byte("v")}})
		if !errors.Is(filled[0].Err, drivers.ErrRefused) || !filled[1].Stored || filled[2] != (Filled{}) {
			t.Error(filled)
		}
	})
}

// A store that closes does not wait for what is given back, and takes nothing.
func TestAClosedStoreTakesAndRepeatsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, tier *faketier.Shared) {
		n := newNode(t, tier)
		w := n.begin()
		w.ask(t, "a")
		releases := 0
		n.conn.SetBefore(func(_ context.Context, op string, _ []string) error {
			if op == "release" {
				releases++
				return errors.New("away")
			}
			return nil
		})
		n.work.EnterAgain() // the load
		_, idle := n.work.Close()
		w.Close()
		n.work.Leave()
		began := time.Now()
		<-idle
		synctest.Wait()
		if time.Since(began) != 0 || releases != 2 { // an operation whose connection is cut is sent twice
			t.Errorf("waited %v, tried %d times", time.Since(began), releases)
		}
		after(time.Hour)
		if releases != 2 {
			t.Errorf("tried %d times", releases)
		}
		if got := w.ask(t, "b"); w.Has("b") {
			t.Error("a load that has ended has a lease:", got)
		}
	})
}
