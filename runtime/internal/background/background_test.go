package background

import (
	"context"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlacesAreBoundedAndGivenBack(t *testing.T) {
	w := New(1)
	defer w.Cancel()
	hold, held := make(chan struct{}), make(chan struct{})
	if !w.TryGo(func(context.Context) { close(held); <-hold }) {
		t.Fatal("no place")
	}
	<-held
	if w.TryGo(func(context.Context) {}) || w.TryAcquire() {
		t.Fatal("a second place")
	}
	close(hold)
	_, idle := w.Close()
	<-idle
	if !w.TryAcquire() {
		t.Fatal("the place was not given back")
	}
	w.Release()
	if w.TryGo(func(context.Context) {}) {
		t.Fatal("work began after the close")
	}
	if !w.TryAcquire() {
		t.Fatal("a refusal kept a place")
	}
}

func TestWithoutPlacesNothingRuns(t *testing.T) {
	w := New(0)
	defer w.Cancel()
	if w.TryGo(func(context.Context) {}) {
		t.Fatal("it runs")
	}
}
