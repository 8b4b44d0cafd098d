package servers

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// redisProgram returns redis-server, or the program that CACHEGEN_REDIS_SERVER names in its
// place, such as valkey-server.
func redisProgram() string {
	return cmp.Or(os.Getenv("CACHEGEN_REDIS_SERVER"), "redis-server")
}

// A RedisServer is a redis-server process. It keeps its data in memory only, unless its
// arguments say otherwise.
type RedisServer struct {
	process
}

// Redis starts a redis-server for the duration of the test. args are further
// arguments of its command line, such as "--maxmemory", "1mb".
func Redis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	requireBinary(t, redisProgram(), redisInstall)
	s, err := StartRedis(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

const redisInstall = "apt-get install redis-server, brew install redis, or https://redis.io/downloads"

// StartRedis starts a redis-server with the working directory dir, for longer than one test.
// The caller stops it with Close.
func StartRedis(dir string, args ...string) (*RedisServer, error) {
	s := newRedis(dir, args...)
	return s, s.start()
}

func newRedis(dir string, args ...string) *RedisServer {
	return &RedisServer{process{
		name: redisProgram(),
		args: func(port string) []string {
			return append([]string{
				"--port", port, "--bind", "127.0.0.1", "--dir", dir,
				"--save", "", "--appendonly", "no", "--daemonize", "no",
			}, args...)
		},
		ready: "Ready to accept connections",
		ping:  pingRedis,
	}}
}

// URL returns the address in the form of redis.ParseURL.
func (s *RedisServer) URL() string { return "redis://" + s.Addr() }

// pingRedis also accepts the answer of a server that requires a password.
func pingRedis(addr string) error {
	answer, err := exchange(addr, "PING\r\n")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "+PONG") && !strings.HasPrefix(answer, "-NOAUTH") {
		return fmt.Errorf("the server answered PING with %q", answer)
	}
	return nil
}

// info returns the text of a request such as CLUSTER INFO, from a server without a password.
func info(addr, request string) (text string, err error) {
	c, err := net.DialTimeout("tcp", addr, startTimeout)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	first, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	var size int
	if _, err := fmt.Sscanf(first, "$%d", &size); err != nil || size < 0 {
		return "", fmt.Errorf("the server answered %s with %q", request, first)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(r, body)
	return string(body), err
}

// await polls info until its text contains each of texts.
func await(addr, request string, texts ...string) error {
	var answer string
	var err error
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(startTimeout); time.Now().Before(end); <-tick.C {
		missing := len(texts)
		if answer, err = info(addr, request); err == nil {
			for _, text := range texts {
				if strings.Contains(answer, text) {
					missing--
				}
			}
			if missing == 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("%s of %s lacks %q after %s: %v\n%s", request, addr, texts, startTimeout, err, answer)
}
