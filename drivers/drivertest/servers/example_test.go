package servers_test

import (
	"net"
	"testing"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// A test starts the server that it needs. The server ends with the test.
func Example() {
	_ = func(t *testing.T) { // in a test file: func TestServerIsBack(t *testing.T)
		server := servers.Redis(t)
		server.Stop()
		if _, err := net.Dial("tcp", server.Addr()); err == nil {
			t.Error("connected to a server that is stopped")
		}
		server.Restart(t)
		connection, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		connection.Close()
	}
}
