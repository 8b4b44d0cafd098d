package nats

import (
	"errors"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// The runtime cuts its messages to what the server takes.
func TestAMessageMayBeAsLargeAsTheBusSays(t *testing.T) {
	b := NewBus(dial(t, servers.NATS(t)), BusOptions{})
	defer b.Close()
	l, ok := drivers.MessageLimiterOf(b)
	if !ok || l.MaxMessage() < 1<<10 {
		t.Fatal("the bus does not say how much it takes")
	}
	if err := b.Publish(t.Context(), "c", make([]byte, l.MaxMessage())); err != nil {
		t.Error(err)
	}
	if err := b.Publish(t.Context(), "c", make([]byte, l.MaxMessage()+1)); !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("a larger one: %v", err)
	}
}
