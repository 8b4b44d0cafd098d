package servers

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRedisStopsAndRestartsOnItsPort(t *testing.T) {
	s := Redis(t)
	addr := s.Addr()
	if err := pingRedis(addr); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := pingRedis(addr); err == nil {
		t.Fatal("a stopped server answers")
	}
	s.Restart(t)
	if s.Addr() != addr {
		t.Fatalf("restarted on %s, was on %s", s.Addr(), addr)
	}
	if err := pingRedis(addr); err != nil {
		t.Fatal(err)
	}
}

func TestRedisThatCannotStartSaysWhy(t *testing.T) {
	Redis(t) // skips without the program
	_, err := StartRedis(t.TempDir(), "--no-such-option", "1")
	if err == nil {
		t.Fatal("started with an unknown option")
	}
	t.Log(err)
}

func TestAClusterServesAllSlotsAlsoAfterARestart(t *testing.T) {
	c := RedisCluster(t)
	if n := len(c.Addrs()); n != 3 {
		t.Fatalf("%d masters", n)
	}
	c.Stop()
	if err := pingRedis(c.Addrs()[0]); err == nil {
		t.Fatal("a stopped server answers")
	}
	c.Restart(t)
}

func TestASentinelReplacesItsMaster(t *testing.T) {
	s := RedisSentinel(t)
	first := s.Master(t)
	if first != s.Servers[0] {
		t.Fatal("another master at the start")
	}
	s.Failover(t)
	if s.Master(t) == first {
		t.Fatal("the killed master is still the master")
	}
	first.Restart(t)
	s.AwaitReplica(t, first)
}
