package servers

import (
	"fmt"
	"strings"
	"testing"
)

// A NATSServer is a nats-server process with JetStream.
type NATSServer struct {
	process
}

// NATS starts a nats-server for the duration of the test. args are further arguments
// of its command line, such as "--user", "u", "--pass", "p".
func NATS(t testing.TB, args ...string) *NATSServer {
	t.Helper()
	requireBinary(t, "nats-server", "apt-get install nats-server, brew install nats-server, or https://nats.io/download")
	s, err := StartNATS(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// StartNATS starts a nats-server that keeps its streams in dir, also across a restart. The
// caller stops it with Close.
func StartNATS(dir string, args ...string) (*NATSServer, error) {
	s := &NATSServer{process{
		name: "nats-server",
		args: func(port string) []string {
			return append([]string{"--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", dir}, args...)
		},
		ready: "Server is ready",
		ping:  pingNATS,
	}}
	return s, s.start()
}

// URL returns the address in the form of nats.Connect.
func (s *NATSServer) URL() string { return "nats://" + s.Addr() }

// pingNATS reads the first line that the server sends on a new connection.
func pingNATS(addr string) error {
	answer, err := exchange(addr, "")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "INFO ") {
		return fmt.Errorf("the server began with %q, want INFO", answer)
	}
	return nil
}
