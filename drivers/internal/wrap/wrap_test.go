package wrap

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// salted never stores a value in the same form twice.
type salted struct{}

var errSalt = errors.New("no salt")

func (salted) Encode(key string, value []byte) ([]byte, error) {
	if bytes.Equal(value, []byte("refuse me")) {
		return nil, fmt.Errorf("a bad value: %w", drivers.ErrRefused)
	}
	return append([]byte("salt"+rand.Text()), value...), nil
}

func (salted) Decode(key string, stored []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(stored, []byte("salt"))
	if !ok || len(rest) < 26 {
		return nil, errSalt
	}
	return rest[26:], nil
}

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes

func newInner() *memory.L2 { return memory.NewL2(memory.L2Options{MaxSize: "300mb"}) }

func TestConformance(t *testing.T) {
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return New(newInner(), salted{}, Options{Name: "salted"}) }, everything,
		drivertest.Limits{LargestValue: 8 << 20})
}

// have returns the result of a query that finds its capability.
func have[C any](c C, ok bool) C {
	if !ok {
		panic("the tier lacks a capability")
	}
	return c
}

// Callers ask a query first; one that did not gets an error and no panic.
func TestMethodsOfMissingCapabilitiesFail(t *testing.T) {
	w := New(struct{ drivers.L2 }{newInner()}, salted{}, Options{Name: "salted"}).(*wrapper)
	ctx := t.Context()
	_, add := w.AddMany(ctx, []drivers.Item{{Key: "a"}})
	_, swap := w.SwapMany(ctx, []drivers.Swap{{Key: "a"}})
	_, lease := w.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "token", TTL: time.Minute})
	_, fill := w.FillMany(ctx, []drivers.Item{{Key: "a"}}, "token")
	_, renew := w.RenewMany(ctx, []string{"a"}, "token", time.Minute)
	_, release := w.ReleaseMany(ctx, []string{"a"}, "token")
	_, history := w.History(ctx)
	scan := w.Scan(ctx, "", func([]string) error { return nil })
	_, prefix := w.DeletePrefix(ctx, "")
	_, prune := w.Prune(ctx)
	for want, err := range map[string]error{
		"add 1 key": add, "swap 1 key": swap, "lease 1 key": lease, "fill 1 key": fill, "renew 1 key": renew, "release 1 key": release, "history": history,
		"scan": scan, "delete a prefix": prefix, "prune": prune,
	} {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.HasPrefix(err.Error(), "salted: "+want+": ") {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func TestWhatMakesItUnusableIsTold(t *testing.T) {
	broken := errors.New("no key")
	for _, w := range []drivers.L2{
		New(newInner(), nil, Options{Name: "seal", Err: broken}),
		New(nil, salted{}, Options{Name: "seal"}),
		New(memory.NewL2(memory.L2Options{MaxSize: "plenty"}), salted{}, Options{Name: "seal"}),
	} {
		err := have(drivers.CheckerOf(w)).Err()
		if err == nil || !strings.HasPrefix(err.Error(), "seal: ") && !strings.HasPrefix(err.Error(), "memory: MaxSize") {
			t.Errorf("error %v", err)
		}
		if _, err := w.GetMany(t.Context(), []string{"a"}); !errors.Is(err, drivers.ErrClosed) || !strings.HasPrefix(err.Error(), "seal: get 1 key: ") {
			t.Errorf("use of it: %v", err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := have(drivers.CheckerOf(New(newInner(), salted{}, Options{}))).Err(); err != nil {
		t.Error(err)
	}
}

func expect(t *testing.T, d drivers.L2, key, want string) {
	t.Helper()
	got, err := d.GetMany(t.Context(), []string{key})
	if err != nil || (got[0] != nil) != (want != "") || string(got[0]) != want {
		t.Errorf("%s: %q, %v, want %q", key, got, err, want)
	}
}

func plant(t *testing.T, d drivers.L2, key, value string) {
	t.Helper()
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: key, Value: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnreadableValueIsAbsent(t *testing.T) {
	inner := newInner()
	var told []string
	w := New(inner, salted{}, Options{Name: "salted", Unreadable: func(key string, err error) {
		if !errors.Is(err, errSalt) {
			t.Errorf("%s: told of %v", key, err)
		}
		told = append(told, key)
	}})
	plant(t, inner, "a", "foreign")
	plant(t, w, "b", "readable")
	got, err := w.GetMany(t.Context(), []string{"a", "b"})
	if err != nil || got[0] != nil || string(got[1]) != "readable" {
		t.Errorf("get: %q, %v", got, err)
	}
	if len(told) != 1 || told[0] != "a" {
		t.Errorf("told of %q", told)
	}

	added, err := have(drivers.AdderOf(w)).AddMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("mine")}, {Key: "b", Value: []byte("mine")}})
	if err != nil || string(added[0]) != "mine" || string(added[1]) != "readable" {
		t.Errorf("add: %q, %v", added, err)
	}
	expect(t, w, "a", "mine")

	swapper := have(drivers.SwapperOf(w))
	for _, next := range [][]byte{[]byte("mine"), nil} {
		plant(t, inner, "a", "foreign")
		swapped, err := swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", Old: []byte("foreign"), New: next}, {Key: "b", New: next}})
		if err != nil || swapped[0] || swapped[1] {
			t.Errorf("swap of what is not there: %v, %v", swapped, err)
		}
		swapped, err = swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", New: next}})
		if err != nil || !swapped[0] {
			t.Errorf("swap of an absent key: %v, %v", swapped, err)
		}
		expect(t, w, "a", string(next))
	}
	expect(t, inner, "a", "")
}

func TestAnAddOverTheUnreadableFailsWithoutSwaps(t *testing.T) {
	inner := newInner()
	plant(t, inner, "a", "salt: not by any means what it says it is")
	w := New(struct {
		drivers.L2
		drivers.Adder
	}{inner, inner}, unreadable{}, Options{Name: "salted"})
	_, err := have(drivers.AdderOf(w)).AddMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("mine")}})
	if !errors.Is(err, errCannotReplace) || !strings.HasPrefix(err.Error(), "salted: add 1 key: ") {
		t.Errorf("error %v", err)
	}
}

type unreadable struct{ salted }

func (unreadable) Decode(string, []byte) ([]byte, error) { return nil, errSalt }

// meddling is a tier where somebody comes first, so many times, when a swap is tried.
type meddling struct {
	*memory.L2
	times int
	with  func()
}

func (m *meddling) SwapMany(ctx context.Context, swaps []drivers.Swap) ([]bool, error) {
	if m.times > 0 {
		m.times--
		m.with()
	}
	return m.L2.SwapMany(ctx, swaps)
}

func TestASwapBeginsAgainWhenTheSameValueHasAnotherForm(t *testing.T) {
	inner := &meddling{L2: newInner()}
	w := New(inner, salted{}, Options{Name: "salted"})
	swapper := have(drivers.SwapperOf(w))
	plant(t, w, "a", "same")
	inner.times, inner.with = 3, func() { plant(t, w, "a", "same") }
	if swapped, err := swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", Old: []byte("same"), New: []byte("new")}}); err != nil || !swapped[0] {
		t.Errorf("swap: %v, %v", swapped, err)
	}
	expect(t, w, "a", "new")

	inner.times, inner.with = 1, func() { plant(t, w, "a", "another") }
	if swapped, err := swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", Old: []byte("new"), New: []byte("lost")}}); err != nil || swapped[0] {
		t.Errorf("swap of a changed value: %v, %v", swapped, err)
	}
	expect(t, w, "a", "another")

	inner.times, inner.with = 1000, func() { plant(t, w, "a", "another") }
	_, err := swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", Old: []byte("another"), New: []byte("lost")}})
	if !errors.Is(err, errContention) {
		t.Errorf("a swap that never comes first: %v", err)
	}
}

func TestAnAddBeginsAgainWhenSomebodyReplacesTheUnreadable(t *testing.T) {
	inner := &meddling{L2: newInner()}
	w := New(inner, salted{}, Options{Name: "salted"})
	plant(t, inner, "a", "foreign")
	inner.times, inner.with = 1, func() { plant(t, w, "a", "theirs") }
	added, err := have(drivers.AdderOf(w)).AddMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("mine")}})
	if err != nil || string(added[0]) != "theirs" {
		t.Errorf("add: %q, %v", added, err)
	}
}

// LeaseMany lets somebody come first when no value is in the way of a lease.
func (m *meddling) LeaseMany(ctx context.Context, keys []string, want drivers.LeaseRequest) ([]drivers.Lease, error) {
	if m.times > 0 && !want.IfAbsent {
		m.times--
		m.with()
	}
	return m.L2.LeaseMany(ctx, keys, want)
}

// Otherwise nobody could store anything under the key until its TTL ends.
func TestAnUnreadableValueIsNotInTheWayOfALease(t *testing.T) {
	inner := &meddling{L2: newInner()}
	w := New(inner, salted{}, Options{Name: "salted"})
	leaser := have(drivers.LeaserOf(w))
	ask := func(token string) []drivers.Lease {
		t.Helper()
		got, err := leaser.LeaseMany(t.Context(), []string{"bare", "foreign", "full"}, drivers.LeaseRequest{Token: token, TTL: time.Hour, IfAbsent: true})
		if err != nil {
			t.Fatal(err)
		}
		if string(got[2].Value) != "x" || got[2].Taken {
			t.Errorf("the lease of a readable value: %+v", got[2])
		}
		return got
	}
	plant(t, inner, "foreign", "foreign")
	plant(t, w, "full", "x")
	if got := ask("t1"); !got[0].Taken || !got[1].Taken || got[1].Value != nil {
		t.Errorf("%+v", got)
	}
	if got := ask("t2"); got[0].Holder != "t1" || got[1].Holder != "t1" || got[0].Taken || got[1].Taken {
		t.Errorf("what another has: %+v", got)
	}
	if filled, err := leaser.FillMany(t.Context(), []drivers.Item{{Key: "foreign", Value: []byte("mine")}}, "t1"); err != nil || !filled[0].Stored {
		t.Errorf("fill: %v, %v", filled, err)
	}
	expect(t, w, "foreign", "mine")

	// Another fills the key between the two requests.
	plant(t, inner, "foreign", "foreign")
	inner.times, inner.with = 1, func() { plant(t, w, "foreign", "theirs") }
	if got := ask("t3"); got[1].Taken || got[1].Holder != "" || string(got[1].Value) != "theirs" {
		t.Errorf("after another has filled: %+v", got[1])
	}
	if got, err := leaser.LeaseMany(t.Context(), []string{"foreign"}, drivers.LeaseRequest{Token: "t4", TTL: time.Hour}); err != nil || !got[0].Taken {
		t.Errorf("a lease that was not taken is held by %q, %v", got[0].Holder, err)
	}
}

func TestSwapsOfOneKeySeeEachOther(t *testing.T) {
	w := New(newInner(), salted{}, Options{Name: "salted"})
	swapped, err := have(drivers.SwapperOf(w)).SwapMany(t.Context(), []drivers.Swap{
		{Key: "a", New: []byte("1")}, {Key: "b", New: []byte("1")}, {Key: "a", Old: []byte("1"), New: []byte("2")}, {Key: "a", Old: []byte("1")},
	})
	if want := []bool{true, true, true, false}; err != nil || fmt.Sprint(swapped) != fmt.Sprint(want) {
		t.Errorf("%v, %v, want %v", swapped, err, want)
	}
	expect(t, w, "a", "2")
}

func TestWhatCannotBeEncodedIsRefused(t *testing.T) {
	w := New(newInner(), salted{}, Options{Name: "salted"})
	plant(t, w, "a", "old")
	err := w.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("new")}, {Key: "b", Value: []byte("refuse me")}})
	if !errors.Is(err, drivers.ErrRefused) || !strings.HasPrefix(err.Error(), "salted: set 2 keys: ") {
		t.Errorf("error %v", err)
	}
	expect(t, w, "a", "old")
}
