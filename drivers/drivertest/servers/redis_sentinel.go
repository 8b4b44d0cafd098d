package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A RedisSentinelServers is a Redis master, its replica and a Sentinel, which makes the
// replica the master when the master is lost.
type RedisSentinelServers struct {
	Servers  [2]*RedisServer // the first one is the master at the start
	Sentinel *RedisServer
}

// SentinelMaster is the name of the master that the Sentinel watches.
const SentinelMaster = "cachegen"

// RedisSentinel starts the three servers for the duration of the test, and waits
// until the Sentinel knows the replica.
func RedisSentinel(t testing.TB) *RedisSentinelServers {
	t.Helper()
	requireBinary(t, redisProgram(), redisInstall)
	s := new(RedisSentinelServers)
	start := func(server *RedisServer) *RedisServer {
		if err := server.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		return server
	}
	quick := []string{"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"}
	master := start(newRedis(t.TempDir(), quick...))
	replica := start(newRedis(t.TempDir(), append(quick, "--replicaof", "127.0.0.1 "+master.port)...))
	if err := await(replica.Addr(), "INFO replication", "master_link_status:up"); err != nil {
		t.Fatal(err)
	}
	sentinel, err := newSentinel(t.TempDir(), master.port)
	if err != nil {
		t.Fatal(err)
	}
	start(sentinel)
	// A Sentinel that knows no replica makes no failover.
	if err := await(sentinel.Addr(), "INFO sentinel", "status=ok", "slaves=1"); err != nil {
		t.Fatal(err)
	}
	s.Servers, s.Sentinel = [2]*RedisServer{master, replica}, sentinel
	return s
}

func newSentinel(dir, masterPort string) (*RedisServer, error) {
	// A Sentinel writes its state to its configuration file.
	file := filepath.Join(dir, "sentinel.conf")
	config := fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]s 1\n"+
		"sentinel down-after-milliseconds %[1]s 1500\nsentinel failover-timeout %[1]s 10000\n", SentinelMaster, masterPort)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return &RedisServer{process{
		name: redisProgram(),
		args: func(port string) []string {
			return []string{file, "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no"}
		},
		ready: "+monitor master",
		ping:  pingRedis,
	}}, nil
}

// Master returns the server that the Sentinel knows as the master.
func (s *RedisSentinelServers) Master(t testing.TB) *RedisServer {
	t.Helper()
	for i, server := range s.Servers {
		text, err := info(s.Sentinel.Addr(), "INFO sentinel")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "address="+server.Addr()+",") {
			return s.Servers[i]
		}
	}
	t.Fatal("the Sentinel knows neither server as the master")
	return nil
}

// Failover kills the master and waits until the other server has become the master. The
// killed server can be restarted, and becomes a replica.
func (s *RedisSentinelServers) Failover(t testing.TB) {
	t.Helper()
	old := s.Master(t)
	next := s.Servers[0]
	if old == next {
		next = s.Servers[1]
	}
	old.Stop()
	if err := await(s.Sentinel.Addr(), "INFO sentinel", "address="+next.Addr()+","); err != nil {
		t.Fatal(err)
	}
	if err := await(next.Addr(), "INFO replication", "role:master"); err != nil {
		t.Fatal(err)
	}
}

// AwaitReplica waits until a restarted server follows the master.
func (s *RedisSentinelServers) AwaitReplica(t testing.TB, server *RedisServer) {
	t.Helper()
	if err := await(server.Addr(), "INFO replication", "role:slave", "master_link_status:up"); err != nil {
		t.Fatal(err)
	}
}
