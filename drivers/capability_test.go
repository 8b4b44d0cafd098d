package drivers_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
)

// halfway is a wrapper by hand, which knows of one capability.
type halfway struct{ inner drivers.L2 }

func (h halfway) Unwrap() drivers.L2 { return h.inner }
func (h halfway) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	return h.inner.GetMany(ctx, keys)
}
func (h halfway) SetMany(ctx context.Context, items []drivers.Item) error {
	return h.inner.SetMany(ctx, items)
}
func (h halfway) DeleteMany(ctx context.Context, keys []string) error {
	return h.inner.DeleteMany(ctx, keys)
}
func (h halfway) Close() error { return h.inner.Close() }
func (h halfway) Prune(ctx context.Context) (int64, error) {
	pruner, _ := drivers.PrunerOf(h.inner)
	return pruner.Prune(ctx)
}

func TestAWrapperHasNoCapabilityThatItDoesNotDeclare(t *testing.T) {
	for name, capability := range l2Capabilities {
		// Nothing is stored with these: they are about the drivers themselves.
		want := name == "PrunerOf" || name == "CheckerOf" || name == "ReadyCheckerOf"
		if got := capability.has(halfway{newEverything()}); got != want {
			t.Errorf("%s finds something: %v, want %v", name, got, want)
		}
		if capability.has(halfway{struct{ drivers.L2 }{newEverything()}}) {
			t.Errorf("%s finds something in front of a tier without capabilities", name)
		}
		if capability.has(nil) {
			t.Errorf("%s finds something in nil", name)
		}
	}
}

type unusable struct {
	drivers.L2
	err error
}

func (u unusable) Err() error                  { return u.err }
func (u unusable) Ready(context.Context) error { return u.err }

func TestEveryDriverOfAChainIsChecked(t *testing.T) {
	broken := errors.New("broken")
	for name, l2 := range map[string]drivers.L2{
		"itself":                 unusable{nil, broken},
		"behind a wrapper":       halfway{unusable{nil, broken}},
		"behind two":             halfway{halfway{unusable{nil, broken}}},
		"behind a PassThrough":   drivers.PassThrough{L2: halfway{unusable{nil, broken}}},
		"behind a usable one":    compressed(unusable{nil, broken}),
		"behind what is wrapped": sealed(compressed(unusable{nil, broken})),
	} {
		checker, ok := drivers.CheckerOf(l2)
		if !ok || !errors.Is(checker.Err(), broken) {
			t.Errorf("%s: the error of its options is not found", name)
		}
		readiness, ok := drivers.ReadyCheckerOf(l2)
		if !ok || !errors.Is(readiness.Ready(t.Context()), broken) {
			t.Errorf("%s: that it is not ready is not found", name)
		}
	}
	for role, driver := range map[string]any{"L1": wrappedL1{failingL1{err: broken}}, "Bus": wrappedBus{failingBus{err: broken}}} {
		if checker, ok := drivers.CheckerOf(driver); !ok || !errors.Is(checker.Err(), broken) {
			t.Errorf("%s: the error of its options is not found", role)
		}
	}
	for _, nothing := range []any{nil, 1, halfway{}} {
		if checker, ok := drivers.CheckerOf(nothing); nothing != (halfway{}) && (ok || checker != nil) {
			t.Errorf("%v is checked by %v", nothing, checker)
		}
		if checker, ok := drivers.ReadyCheckerOf(nothing); ok || checker != nil {
			t.Errorf("%v is asked by %v", nothing, checker)
		}
	}
}

type failingL1 struct {
	drivers.L1
	err error
}

func (f failingL1) Err() error { return f.err }

// wrappedL1 has the methods of every capability of an L1.
type wrappedL1 struct{ drivers.L1 }

func (w wrappedL1) Unwrap() drivers.L1 { return w.L1 }
func (w wrappedL1) Range(f func(item any) bool) {
	ranger, _ := drivers.RangerOf(w.L1)
	ranger.Range(f)
}

type failingBus struct {
	drivers.Bus
	err error
}

func (f failingBus) Err() error { return f.err }

type wrappedBus struct{ drivers.Bus }

func (w wrappedBus) Unwrap() drivers.Bus { return w.Bus }

func TestCapabilitiesOfAnL1(t *testing.T) {
	tier := memory.New(memory.Options{})
	defer tier.Close()
	tier.Set(1, "one", 1)
	ranger, ok := drivers.RangerOf(wrappedL1{wrappedL1{tier}})
	if !ok {
		t.Fatal("a wrapper of a tier that can list its items cannot")
	}
	var items []any
	ranger.Range(func(item any) bool { items = append(items, item); return true })
	if !slices.Equal(items, []any{"one"}) {
		t.Errorf("items %v", items)
	}
	if _, ok := drivers.RangerOf(wrappedL1{struct{ drivers.L1 }{tier}}); ok {
		t.Error("a wrapper of a tier that cannot list its items can")
	}
}

type listener struct{}

func (listener) Up()            {}
func (listener) Down(error)     {}
func (listener) Message([]byte) {}

type keyListener struct{ listener }

func (keyListener) KeyPrefix() string { return "app:" }
func (keyListener) Changed([]string)  {}

type lossListener struct{ listener }

func (lossListener) MaxSilence() time.Duration  { return time.Minute }
func (lossListener) DownSince(time.Time, error) {}

// wrappedListener is what a bus in front of another one subscribes.
type wrappedListener struct{ drivers.Listener }

func (w wrappedListener) Unwrap() drivers.Listener { return w.Listener }
func (w wrappedListener) KeyPrefix() string {
	keys, _ := drivers.KeyListenerOf(w.Listener)
	return keys.KeyPrefix()
}
func (w wrappedListener) Changed(changed []string) {
	keys, _ := drivers.KeyListenerOf(w.Listener)
	keys.Changed(changed)
}

func (w wrappedListener) MaxSilence() time.Duration {
	s, _ := drivers.LossListenerOf(w.Listener)
	return s.MaxSilence()
}
func (w wrappedListener) DownSince(heard time.Time, err error) {
	s, _ := drivers.LossListenerOf(w.Listener)
	s.DownSince(heard, err)
}

func TestCapabilitiesOfAListener(t *testing.T) {
	if s, ok := drivers.LossListenerOf(wrappedListener{lossListener{}}); !ok || s.MaxSilence() != time.Minute {
		t.Error("a wrapped LossListener is none")
	}
	if _, ok := drivers.LossListenerOf(wrappedListener{listener{}}); ok {
		t.Error("a wrapped Listener is a LossListener")
	}
	if keys, ok := drivers.KeyListenerOf(wrappedListener{keyListener{}}); !ok || keys.KeyPrefix() != "app:" {
		t.Error("a wrapper of a listener that wants keys does not")
	}
	if _, ok := drivers.KeyListenerOf(wrappedListener{listener{}}); ok {
		t.Error("a wrapper of a listener that wants no keys does")
	}
}
