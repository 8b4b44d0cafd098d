package servers

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// A RedisClusterServers is a Redis Cluster of three masters, without replicas until some are
// added.
type RedisClusterServers struct {
	Masters []*RedisServer
	added   int
}

// RedisCluster starts a Cluster for the duration of the test and waits until it
// serves every slot. args are further arguments of each server's command line.
func RedisCluster(t testing.TB, args ...string) *RedisClusterServers {
	t.Helper()
	requireBinary(t, redisProgram(), redisInstall)
	c := new(RedisClusterServers)
	for range 3 {
		c.Masters = append(c.Masters, newClusterRedis(t, args...))
	}
	if err := c.form(); err != nil {
		t.Fatalf("redis cluster: %v", err)
	}
	return c
}

func newClusterRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	s := newRedis(t.TempDir(), append([]string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "5000",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}, args...)...)
	s.free = freePortPair
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// AddMaster adds a server that has no slots, with further arguments of its command line.
func (c *RedisClusterServers) AddMaster(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	s := newClusterRedis(t, args...)
	if _, err := exchange(s.Addr(), "CLUSTER MEET 127.0.0.1 "+c.Masters[0].port+"\r\n"); err != nil {
		t.Fatal(err)
	}
	c.added++
	c.Await(t)
	if err := await(s.Addr(), "CLUSTER INFO", "cluster_state:ok", fmt.Sprint("cluster_known_nodes:", len(c.Masters)+c.added)); err != nil {
		t.Fatal(err)
	}
	return s
}

// AddReplica adds a server that is a replica of master, one of c.Masters, and waits until it has
// what the master has.
func (c *RedisClusterServers) AddReplica(t testing.TB, master *RedisServer, args ...string) *RedisServer {
	t.Helper()
	s := c.AddMaster(t, args...)
	id, err := info(master.Addr(), "CLUSTER MYID")
	if err == nil {
		err = await(s.Addr(), "CLUSTER NODES", strings.TrimSpace(id)+" ")
	}
	if err == nil {
		_, err = exchange(s.Addr(), "CLUSTER REPLICATE "+strings.TrimSpace(id)+"\r\n")
	}
	if err == nil {
		err = await(s.Addr(), "INFO replication", "role:slave", "master_link_status:up")
	}
	// The others have to know it as a replica before a failover can happen.
	for _, other := range c.Masters {
		if err == nil {
			err = await(other.Addr(), "CLUSTER NODES", ":"+s.port+"@", " slave "+strings.TrimSpace(id))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Addrs returns the addresses of the masters.
func (c *RedisClusterServers) Addrs() []string {
	var all []string
	for _, s := range c.Masters {
		all = append(all, s.Addr())
	}
	return all
}

// Stop kills every server.
func (c *RedisClusterServers) Stop() {
	for _, s := range c.Masters {
		s.Stop()
	}
}

// Restart starts the stopped servers again, without their data, and waits until they form a
// Cluster again.
func (c *RedisClusterServers) Restart(t testing.TB) {
	t.Helper()
	for _, s := range c.Masters {
		s.Restart(t)
	}
	c.Await(t)
}

// Await waits until the servers form a Cluster again, after one of them was restarted.
func (c *RedisClusterServers) Await(t testing.TB) {
	t.Helper()
	if err := c.await(); err != nil {
		t.Fatalf("redis cluster: %v", err)
	}
}

// Pause stops every server from answering while its connections stay open.
func (c *RedisClusterServers) Pause(t testing.TB) {
	t.Helper()
	for _, s := range c.Masters {
		s.Pause(t)
	}
}

// Resume continues the paused servers.
func (c *RedisClusterServers) Resume(t testing.TB) {
	t.Helper()
	for _, s := range c.Masters {
		s.Resume(t)
	}
}

// form assigns the slots to the servers and makes the servers known to each other.
func (c *RedisClusterServers) form() error {
	const slots = 16384
	for i, s := range c.Masters {
		var add strings.Builder
		add.WriteString("CLUSTER ADDSLOTS")
		for slot := i * slots / len(c.Masters); slot < (i+1)*slots/len(c.Masters); slot++ {
			fmt.Fprintf(&add, " %d", slot)
		}
		for _, request := range []string{
			fmt.Sprint("CLUSTER SET-CONFIG-EPOCH ", i+1),
			add.String(),
			"CLUSTER MEET 127.0.0.1 " + c.Masters[0].port,
		} {
			answer, err := exchange(s.Addr(), request+"\r\n")
			if err == nil && !strings.HasPrefix(answer, "+OK") {
				err = errors.New(strings.TrimSpace(answer))
			}
			if err != nil {
				return fmt.Errorf("%.40s: %w", request, err)
			}
		}
	}
	return c.await()
}

func (c *RedisClusterServers) await() error {
	for _, s := range c.Masters {
		err := await(s.Addr(), "CLUSTER INFO", "cluster_state:ok", fmt.Sprint("cluster_known_nodes:", len(c.Masters)+c.added))
		if err != nil {
			return err
		}
	}
	return nil
}

// freePortPair returns a free port whose number plus 10000, the port for messages among the
// servers of a Cluster, is free too.
func freePortPair() (string, error) {
	for range 100 {
		port, err := freePort()
		if err != nil {
			return "", err
		}
		n, err := strconv.Atoi(port)
		if err != nil || n+10000 > 65535 {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n+10000)))
		if err == nil {
			l.Close()
			return port, nil
		}
	}
	return "", errors.New("no two free ports 10000 apart")
}
