package processes

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

var faultTime = flag.Duration("fault-time", time.Second, "how long each fault lasts")

// bound is after how long nobody reads any more what another process has invalidated, by the
// documentation of StampTrust, with an allowance for a busy machine.
const bound = 2*trust + 1500*time.Millisecond

// rows of the work, hot ones first.
const rows = 60

// during runs the work of all processes, in the middle of which something goes wrong, heals it,
// waits, and checks what was read: during the work, and by all at the end.
func (tm *team) during(fault func(t *testing.T), heal func(t *testing.T)) {
	t := tm.t
	t.Helper()
	length := *faultTime + 2*time.Second
	var working []<-chan report
	for _, m := range tm.members {
		working = append(working, m.tell(command{Op: "work", N: rows, For: length}))
	}
	time.Sleep(500 * time.Millisecond)
	fault(t)
	time.Sleep(*faultTime)
	if heal != nil {
		heal(t)
	}
	for i, w := range working {
		select {
		case <-w:
		case <-time.After(length + 20*time.Second):
			t.Fatalf("process %d does not end its work\n%s", i, tm.logs())
		}
	}
	// What is pending is carried out, and everyone has asked again.
	time.Sleep(bound)
	wrong := 0
	for p := range tm.members {
		for row := range rows {
			if r := tm.do(p, "read", row); r.Err != "" || r.Version != tm.db.version(row) {
				if wrong++; wrong < 5 {
					t.Errorf("in the end process %d reads version %d of row %d, which has %d; error: %q", p, r.Version, row, tm.db.version(row), r.Err)
				}
			}
		}
	}
	if wrong > 0 {
		t.Errorf("in the end %d reads are wrong\n%s", wrong, tm.logs())
	}
	f := check(tm.all(), bound)
	f.report(t)
	loads := 0
	for row := range rows {
		loads += tm.db.loadsOf(row)
	}
	t.Logf("%d loads", loads)
	if t.Failed() {
		t.Log(tm.logs())
	}
}

func (tm *team) gateways(f fault, purposes ...string) {
	for _, m := range tm.members {
		m.gateway.set(f, purposes...)
	}
}

func redisSystem(t *testing.T, args ...string) (system, *servers.RedisServer) {
	s := servers.Redis(t, args...)
	return system{Kind: "redis", Addrs: []string{s.Addr()}}, s
}

// Each fault is of a server of Redis, of which the processes share the tier and the bus.
func TestFaultsOfRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	type faults struct {
		args  []string
		fault func(t *testing.T, tm *team, s *servers.RedisServer)
		heal  func(t *testing.T, tm *team, s *servers.RedisServer)
	}
	healGateways := func(_ *testing.T, tm *team, _ *servers.RedisServer) { tm.gateways(fault{}, "tier", "bus") }
	ask := func(t *testing.T, s *servers.RedisServer, line string) {
		t.Helper()
		if answer, err := redisCommand(s.Addr(), line); err != nil || strings.HasPrefix(answer, "-") {
			t.Fatalf("%s: %q, %v", line, answer, err)
		}
	}
	for name, test := range map[string]faults{
		"none": {fault: func(*testing.T, *team, *servers.RedisServer) {}},
		"latency": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				tm.gateways(fault{latency: 200 * time.Millisecond}, "tier", "bus")
			}, heal: healGateways,
		},
		"a process is deaf": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				tm.members[0].gateway.set(fault{down: true}, "bus")
			}, heal: healGateways,
		},
		"a process is cut off the bus": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				tm.members[0].gateway.set(fault{cut: true}, "bus")
			}, heal: healGateways,
		},
		"a process is cut off the tier": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				tm.members[0].gateway.set(fault{cut: true}, "tier")
			}, heal: healGateways,
		},
		"what a process sends is held back": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				tm.members[0].gateway.set(fault{up: true}, "tier", "bus")
			}, heal: healGateways,
		},
		"what the server answers is held back": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				tm.members[0].gateway.set(fault{down: true}, "tier", "bus")
			}, heal: healGateways,
		},
		"all connections break": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) {
				for range 10 {
					for _, m := range tm.members {
						m.gateway.breakAll("tier", "bus")
					}
					time.Sleep(*faultTime / 10)
				}
			},
		},
		"a process is stopped": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) { tm.members[0].signal(syscall.SIGSTOP) },
			heal:  func(_ *testing.T, tm *team, _ *servers.RedisServer) { tm.members[0].signal(syscall.SIGCONT) },
		},
		"a process is killed": {
			fault: func(_ *testing.T, tm *team, _ *servers.RedisServer) { tm.members[0].kill() },
			heal:  func(_ *testing.T, tm *team, _ *servers.RedisServer) { tm.replace(0) },
		},
		"the server is stopped": {
			fault: func(t *testing.T, _ *team, s *servers.RedisServer) { s.Pause(t) },
			heal:  func(t *testing.T, _ *team, s *servers.RedisServer) { s.Resume(t) },
		},
		"the server is killed": {
			fault: func(_ *testing.T, _ *team, s *servers.RedisServer) { s.Stop() },
			heal:  func(t *testing.T, _ *team, s *servers.RedisServer) { s.Restart(t) },
		},
		"the server comes back with older data": {
			fault: func(t *testing.T, _ *team, s *servers.RedisServer) {
				ask(t, s, "SAVE")
				time.Sleep(*faultTime)
				s.Stop()
				s.Restart(t)
			},
		},
		"FLUSHALL": {
			fault: func(t *testing.T, _ *team, s *servers.RedisServer) {
				for range 5 {
					ask(t, s, "FLUSHALL")
					time.Sleep(*faultTime / 5)
				}
			},
		},
		"CLIENT KILL": {
			fault: func(t *testing.T, _ *team, s *servers.RedisServer) {
				for range 5 {
					ask(t, s, "CLIENT KILL TYPE normal")
					ask(t, s, "CLIENT KILL TYPE pubsub")
					time.Sleep(*faultTime / 5)
				}
			},
		},
		"DEBUG SLEEP": {
			args:  []string{"--enable-debug-command", "local"},
			fault: func(t *testing.T, _ *team, s *servers.RedisServer) { ask(t, s, "DEBUG SLEEP 1.5") },
		},
		"eviction": {
			args:  []string{"--maxmemory", "1300kb", "--maxmemory-policy", "allkeys-random"},
			fault: func(*testing.T, *team, *servers.RedisServer) {},
		},
		"the server is full": {
			fault: func(t *testing.T, _ *team, s *servers.RedisServer) { ask(t, s, "CONFIG SET maxmemory 1") },
			heal:  func(t *testing.T, _ *team, s *servers.RedisServer) { ask(t, s, "CONFIG SET maxmemory 0") },
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel() // most of the time they wait
			s, server := redisSystem(t, test.args...)
			tm := start(t, s, 4)
			var heal func(t *testing.T)
			if test.heal != nil {
				heal = func(t *testing.T) { test.heal(t, tm, server) }
			}
			tm.during(func(t *testing.T) { test.fault(t, tm, server) }, heal)
		})
	}
}

func TestFaultOfAFailoverOfSentinel(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	s := servers.RedisSentinel(t)
	tm := start(t, system{Kind: "sentinel", Addrs: []string{s.Sentinel.Addr()}}, 4)
	tm.during(func(t *testing.T) { s.Failover(t) }, nil)
}

func TestFaultOfACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	s := servers.RedisCluster(t)
	tm := start(t, system{Kind: "cluster", Addrs: s.Addrs()}, 4)
	tm.during(func(t *testing.T) {
		s.Stop()
		s.Restart(t)
		s.Await(t)
	}, nil)
}

func TestFaultsOfPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for name, test := range map[string]func(t *testing.T, tm *team, s *servers.PostgresServer) (heal func()){
		"none": func(*testing.T, *team, *servers.PostgresServer) func() { return func() {} },
		"crash": func(t *testing.T, _ *team, s *servers.PostgresServer) func() {
			s.Stop()
			s.Restart(t)
			return func() {}
		},
		"stopped": func(t *testing.T, _ *team, s *servers.PostgresServer) func() {
			s.Pause(t)
			return func() { s.Resume(t) }
		},
		"deaf": func(_ *testing.T, tm *team, _ *servers.PostgresServer) func() {
			tm.members[0].gateway.set(fault{down: true}, "bus")
			return func() { tm.gateways(fault{}, "bus") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servers.Postgres(t)
			tm := start(t, system{Kind: "postgres", URL: s.URL()}, 4)
			var heal func()
			tm.during(func(t *testing.T) { heal = test(t, tm, s) }, func(*testing.T) { heal() })
		})
	}
}

func TestFaultOfNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	dir := filepath.Join(t.TempDir(), "jetstream")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := servers.NATS(t, "-js", "-sd", dir)
	tm := start(t, system{Kind: "nats", URL: s.URL()}, 4)
	tm.during(func(t *testing.T) {
		s.Stop()
		s.Restart(t)
	}, nil)
}

// systemOf starts the servers of a kind.
func systemOf(t *testing.T, kind string) system {
	t.Helper()
	switch kind {
	case "redis":
		s, _ := redisSystem(t)
		return s
	case "postgres":
		return system{Kind: kind, URL: servers.Postgres(t).URL()}
	}
	t.Fatalf("no system %q", kind)
	return system{}
}
