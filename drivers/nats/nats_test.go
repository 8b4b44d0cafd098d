package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial returns a connection that the test closes.
func dial(t testing.TB, server *servers.NATSServer, options ...gonats.Option) *gonats.Conn {
	t.Helper()
	conn, err := gonats.Connect(server.URL(), append([]gonats.Option{
		gonats.MaxReconnects(-1), gonats.ReconnectWait(20 * time.Millisecond), gonats.ReconnectJitter(0, 0),
		gonats.ErrorHandler(func(*gonats.Conn, *gonats.Subscription, error) {}), // some tests are about them
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// maxPayload is nats-server's default.
const maxPayload = 1 << 20

var limits = drivertest.Limits{MaxValue: maxPayload - Overhead}

const all = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes

func TestConformance(t *testing.T) {
	server := servers.NATS(t)
	drivertest.L2(t, func(t *testing.T) drivers.L2 {
		// One for each subtest: walks are not the longer for what others have left.
		return New(dial(t, server), Options{Bucket: bucketFor(t)})
	}, limits, all)
}

func bucketFor(t *testing.T) string {
	sum := sha256.Sum256([]byte(t.Name()))
	return hex.EncodeToString(sum[:8])
}

func faults(t *testing.T, server *servers.NATSServer) drivertest.Faults {
	return drivertest.Faults{
		Stop:    server.Stop,
		Restart: func() { server.Restart(t) },
		Pause:   func() { server.Pause(t) },
		Resume:  func() { server.Resume(t) },
	}
}

func TestFaults(t *testing.T) {
	server := servers.NATS(t)
	drivertest.L2Faults(t, func(t *testing.T) drivers.L2 {
		return New(dial(t, server), Options{})
	}, faults(t, server))
}
