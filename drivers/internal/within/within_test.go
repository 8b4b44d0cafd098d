package within

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReturnsWhatTheFunctionReturns(t *testing.T) {
	want := errors.New("broken")
	for _, ctx := range []context.Context{context.Background(), t.Context()} {
		if err := Do(ctx, func() error { return want }); err != want {
			t.Errorf("got %v", err)
		}
		if err := Do(ctx, func() error { return nil }); err != nil {
			t.Errorf("got %v", err)
		}
	}
}

func TestDoesNotWaitForAFunctionThatDoesNotWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	err := Do(ctx, func() error { cancel(); <-release; return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDoesNotStartAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Do(ctx, func() error { t.Error("started"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
