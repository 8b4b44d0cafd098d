package servers

import (
	"fmt"
	"strings"
	"testing"
)

// RedisServer is a redis-server process that keeps nothing on disk unless its
// arguments say so.
type RedisServer struct {
	process
}

// Redis starts a redis-server for the duration of the test. args are further
// arguments of its command line, such as "--maxmemory", "1mb".
func Redis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	requireBinary(t, "redis-server", "apt-get install redis-server, brew install redis, or https://redis.io/downloads")
	s, err := StartRedis(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// StartRedis starts a redis-server that works in dir, for programs that are not
// tests. The caller ends it with Stop.
func StartRedis(dir string, args ...string) (*RedisServer, error) {
	s := &RedisServer{process{
		name: "redis-server",
		args: func(port string) []string {
			return append([]string{
				"--port", port, "--bind", "127.0.0.1", "--dir", dir,
				"--save", "", "--appendonly", "no", "--daemonize", "no",
			}, args...)
		},
		ready: "Ready to accept connections",
		ping:  pingRedis,
	}}
	return s, s.start()
}

// URL returns the address as REDIS_URL and redis.ParseURL write it.
func (s *RedisServer) URL() string { return "redis://" + s.Addr() }

// pingRedis is content with a server that answers but wants a password.
func pingRedis(addr string) error {
	answer, err := exchange(addr, "PING\r\n")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "+PONG") && !strings.HasPrefix(answer, "-NOAUTH") {
		return fmt.Errorf("answered PING with %q", answer)
	}
	return nil
}
