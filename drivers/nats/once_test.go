package nats

import (
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// race R45: a client that sends a write again after a broken connection brings back a value
// that has been deleted since.
func TestWritesAreSentOnce(t *testing.T) {
	server := servers.NATS(t)
	drivertest.L2LostAnswers(t, server.Addr(), func(t *testing.T, address string) drivers.L2 {
		conn, err := gonats.Connect("nats://"+address, gonats.ReconnectWait(10*time.Millisecond), gonats.MaxReconnects(-1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return New(conn, Options{})
	})
}
