package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// A past is a driver whose history a test looks at.
type past struct {
	*Driver
	t *testing.T
}

func openPast(t *testing.T, client goredis.UniversalClient) past {
	d := New(client, Options{})
	t.Cleanup(func() { d.Close() })
	return past{d, t}
}

func (p past) history() string {
	p.t.Helper()
	text, err := p.History(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// told is the history of a server that tells it.
func (p past) told() string {
	p.t.Helper()
	text := p.history()
	if text == "" {
		p.t.Fatal("the history is not told")
	}
	return text
}

func (p past) set(key, value string) {
	p.t.Helper()
	if err := p.SetMany(p.t.Context(), []drivers.Item{{Key: key, Value: []byte(value)}}); err != nil {
		p.t.Fatal(err)
	}
}

// reads waits until key can be read, and returns its value, empty if it is absent.
func (p past) reads(key string) string {
	p.t.Helper()
	var got [][]byte
	p.eventually("reading", func() (err error) {
		got, err = p.GetMany(p.t.Context(), []string{key})
		return err
	})
	return string(got[0])
}

func (p past) eventually(what string, f func() error) {
	p.t.Helper()
	var err error
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(slow); time.Now().Before(end); <-tick.C {
		if err = f(); err == nil {
			return
		}
	}
	p.t.Fatalf("%s: %v", what, err)
}

// admin returns a client for what an administrator does.
func admin(t *testing.T, addr string) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: addr, ReadTimeout: slow})
	t.Cleanup(func() { client.Close() })
	return client
}

func do(t *testing.T, client *goredis.Client, command string) string {
	t.Helper()
	var args []any
	for _, word := range strings.Fields(command) {
		args = append(args, word)
	}
	reply, err := client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return fmt.Sprint(reply)
}

// calls returns how often a server has carried out a command, not counting what calls does.
func calls(t *testing.T, client *goredis.Client, command string) (n int) {
	t.Helper()
	for line := range strings.Lines(do(t, client, "info commandstats")) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &n)
		}
	}
	if command == "info" {
		own, _ := callsOfInfo.LoadOrStore(client, new(atomic.Int64))
		n -= int(own.(*atomic.Int64).Add(1)) - 1
	}
	return n
}

var callsOfInfo sync.Map // client → how often calls has asked

// questions returns how often a server was asked who it is.
func questions(t *testing.T, client *goredis.Client) int {
	t.Helper()
	return calls(t, client, "info")
}

// race R46: a server comes back with what it had some time ago.
func TestARestartWithOlderDataIsNoticedAtOnce(t *testing.T) {
	server := servers.Redis(t)
	p := openPast(t, dial(t, server))
	other := openPast(t, dial(t, server))
	p.set("a", "old")
	do(t, admin(t, server.Addr()), "save")
	p.set("a", "new")
	before := p.told()
	if got := other.told(); got != before {
		t.Errorf("another process is told %q, this one %q", got, before)
	}
	server.Stop()
	server.Restart(t)
	if got := p.reads("a"); got != "old" {
		t.Fatalf("after the restart %q: the test does not test what it should", got)
	}
	after := p.told()
	if after == before {
		t.Error("the value was lost, and the history is the same")
	}
	other.reads("a")
	if got := other.told(); got != after {
		t.Errorf("another process is told %q, this one %q", got, after)
	}
	if got := openPast(t, dial(t, server)).told(); got != after {
		t.Errorf("a new process is told %q, this one %q", got, after)
	}
	if got := p.told(); got != after {
		t.Errorf("told %q, then %q", after, got)
	}
}

// It cannot be told from a restart with older data.
func TestARestartWithTheSameDataIsAnotherHistory(t *testing.T) {
	server := servers.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	p := openPast(t, dial(t, server))
	p.set("a", "x")
	before := p.told()
	server.Stop()
	server.Restart(t)
	if got := p.reads("a"); got != "x" {
		t.Errorf("after the restart: %q", got)
	}
	if p.told() == before {
		t.Error("the history is the same")
	}
}

// Connections that break, or are made, are a reason to ask, and no change.
func TestKilledConnectionsAreNoChange(t *testing.T) {
	server := servers.Redis(t)
	root := admin(t, server.Addr())
	p := openPast(t, dial(t, server))
	p.set("a", "x")
	want := p.told()
	for range 5 {
		asked := questions(t, root)
		do(t, root, "client kill type normal skipme yes")
		p.reads("a")
		if got := p.told(); got != want {
			t.Errorf("history %q, want %q", got, want)
		}
		if questions(t, root) == asked {
			t.Error("after new connections the server was not asked")
		}
	}
}

// Without a reason the server is not asked, and nothing is allocated.
func TestAHistoryWithoutAReasonIsFree(t *testing.T) {
	server := servers.Redis(t)
	root := admin(t, server.Addr())
	p := openPast(t, dial(t, server))
	ctx := t.Context()
	p.set("a", "x")
	p.reads("a")
	want := p.told()
	asked := questions(t, root)
	for range 100 {
		p.set("a", "x")
		p.reads("a")
		p.told()
	}
	if n := questions(t, root); n != asked {
		t.Errorf("asked %d times", n-asked)
	}
	allocs := testing.AllocsPerRun(100, func() {
		if text, err := p.History(ctx); err != nil || text != want {
			t.Error(text, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// A lead leads new connections to one of several servers, as a name, a service of
// Kubernetes or a load balancer does.
type lead struct {
	to    atomic.Pointer[servers.RedisServer]
	dials sync.Map // address → *atomic.Int64
}

// led returns how many connections were made to a server.
func (l *lead) led(addr string) *atomic.Int64 {
	n, _ := l.dials.LoadOrStore(addr, new(atomic.Int64))
	return n.(*atomic.Int64)
}

func (l *lead) client(t *testing.T, o goredis.Options) *goredis.Client {
	o.Addr, o.ReadTimeout, o.WriteTimeout = "cache:6379", slow, slow
	o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		addr := l.to.Load().Addr()
		defer l.led(addr).Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	client := goredis.NewClient(&o)
	t.Cleanup(func() { client.Close() })
	return client
}

// A client that is led to another server asks that one, although it has connections to the one
// before, and uses these first.
func TestAClientThatIsLedToAnotherServer(t *testing.T) {
	one, two := servers.Redis(t), servers.Redis(t)
	var l lead
	l.to.Store(one)
	client := l.client(t, goredis.Options{})
	d := New(client, Options{NoAutoPipeline: true})
	defer d.Close()
	p := past{d, t}
	p.set("a", "one")
	before := p.told()
	openPast(t, dial(t, two)).set("a", "two")

	// The only connection is taken, so that a read needs another one.
	held := client.Conn()
	if err := held.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	l.to.Store(two)
	if got := p.reads("a"); got != "two" {
		t.Fatalf("read %q: the test does not test what it should", got)
	}
	held.Close()
	if got := p.reads("a"); got != "one" {
		t.Fatalf("read %q: the client has another order of connections, and the test has to be changed", got)
	}
	if p.told() == before {
		t.Error("the history is that of the server before")
	}
}

// A question that was asked before an answer came says nothing about the answer.
func TestAQuestionFromBeforeIsNotBelieved(t *testing.T) {
	one, two := servers.Redis(t), servers.Redis(t)
	var l lead
	l.to.Store(one)
	p := openPast(t, l.client(t, goredis.Options{}))
	want := openPast(t, dial(t, two)).told()
	one.Pause(t)
	asked := make(chan error, 1)
	go func() { _, err := p.History(t.Context()); asked <- err }()
	p.eventually("asking the first server", func() error {
		if l.led(one.Addr()).Load() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	l.to.Store(two)
	p.reads("a")
	told := make(chan string, 1)
	go func() {
		text, err := p.History(t.Context())
		if err != nil {
			t.Error(err)
		}
		told <- text
	}()
	<-time.After(50 * time.Millisecond) // the caller waits for the first question now
	one.Resume(t)
	if got := <-told; got != want {
		t.Errorf("after an answer of the second server: history %q, want %q", got, want)
	}
	if err := <-asked; err != nil {
		t.Error(err)
	}
}

// A replica that is promoted has another history than its master had, and than it had itself.
func TestAPromotedReplicaHasAnotherHistory(t *testing.T) {
	master, replica := servers.Redis(t, "--repl-diskless-sync-delay", "0"), servers.Redis(t)
	root := admin(t, replica.Addr())
	_, port, _ := net.SplitHostPort(master.Addr())
	do(t, root, "replicaof 127.0.0.1 "+port)
	var l lead
	l.to.Store(master)
	p := openPast(t, l.client(t, goredis.Options{}))
	p.set("a", "x")
	before := p.told()
	reader := openPast(t, dial(t, replica))
	reader.eventually("the replica follows", func() error {
		if reader.reads("a") != "x" {
			return errors.New("not yet")
		}
		return nil
	})
	asReplica := reader.told()

	master.Stop()
	do(t, root, "replicaof no one")
	l.to.Store(replica)
	if got := p.reads("a"); got != "x" {
		t.Errorf("read %q", got)
	}
	after := p.told()
	if after == before {
		t.Error("the history is that of the master before")
	}
	// Its own connections have stayed. They are asked after a time.
	reader.Driver.history.recheck = 0
	if got := reader.told(); got != after || got == asReplica {
		t.Errorf("who was connected to the replica is told %q, was told %q, others are told %q", got, asReplica, after)
	}
}

// A server that becomes a replica of another one takes over what that one has. Its connections
// stay open.
func TestADemotedMasterIsNoticed(t *testing.T) {
	master, other := servers.Redis(t), servers.Redis(t)
	_, port, _ := net.SplitHostPort(other.Addr())
	p := openPast(t, dial(t, master))
	p.set("a", "x")
	before := p.told()
	do(t, admin(t, master.Addr()), "replicaof 127.0.0.1 "+port)
	if err := p.SetMany(t.Context(), []drivers.Item{{Key: "a"}}); err == nil {
		t.Fatal("a replica has taken a write")
	}
	p.reads("a")
	if p.told() == before {
		t.Error("after a refused write the history is the same")
	}

	do(t, admin(t, master.Addr()), "replicaof no one")
	p.eventually("writing again", func() error { return p.SetMany(t.Context(), []drivers.Item{{Key: "a"}}) })
	before = p.told()
	do(t, admin(t, master.Addr()), "replicaof 127.0.0.1 "+port)
	p.Driver.history.recheck = time.Nanosecond
	if p.told() == before {
		t.Error("after a time the history is the same")
	}
}

// No answer is believed under a history that is older than the answer, whoever asks when.
func TestNoAnswerIsBelievedUnderAnOlderHistory(t *testing.T) {
	const readers, restarts = 8, 4
	server := servers.Redis(t)
	type seen struct {
		generation int
		history    string
	}
	var mu sync.Mutex
	var all []seen
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range readers {
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), PoolSize: 3, MaxRetries: i % 2, DialerRetries: 1})
		t.Cleanup(func() { client.Close() })
		d := New(client, Options{NoAutoPipeline: i%2 == 0})
		t.Cleanup(func() { d.Close() })
		for range 2 {
			wg.Go(func() {
				for ctx.Err() == nil {
					got, err := d.GetMany(ctx, []string{"generation"})
					if err != nil || got[0] == nil {
						continue
					}
					text, err := d.History(ctx)
					if err != nil {
						continue
					}
					mu.Lock()
					all = append(all, seen{int(got[0][0] - '0'), text})
					mu.Unlock()
				}
			})
		}
	}
	order := make(map[string]int)
	for generation := range restarts {
		p := openPast(t, dial(t, server))
		order[p.told()] = generation
		if len(order) != generation+1 {
			t.Fatal("two servers have one history")
		}
		p.set("generation", fmt.Sprint(generation))
		p.eventually("somebody sees it", func() error {
			mu.Lock()
			defer mu.Unlock()
			n := 0
			for _, s := range all {
				if s.generation == generation {
					n++
				}
			}
			if n < 20 {
				return fmt.Errorf("%d reads", n)
			}
			return nil
		})
		server.Stop()
		server.Restart(t)
	}
	cancel()
	wg.Wait()
	last := openPast(t, dial(t, server)).told()
	for _, s := range all {
		index, ok := order[s.history]
		if !ok && s.history == last {
			index, ok = restarts, true
		}
		if !ok || index < s.generation {
			t.Fatalf("a value of server %d was believed under the history of server %d (known %v)", s.generation, index, ok)
		}
	}
}

// Many callers share a question, and one that gives up does not end it.
func TestCallersShareAQuestion(t *testing.T) {
	const callers = 50
	server := servers.Redis(t)
	root := admin(t, server.Addr())
	client := dial(t, server)
	p := openPast(t, client)
	p.set("a", "x")
	want := p.told()
	asked := questions(t, root)
	p.Driver.history.node(client).dialled.Store(true)
	p.Driver.history.reasons.Add(1)
	server.Pause(t)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			ctx := t.Context()
			if i%2 == 0 {
				short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				if _, err := p.History(short); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a caller that gives up: %v", err)
				}
				return
			}
			if got, err := p.History(ctx); err != nil || got != want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	<-time.After(200 * time.Millisecond) // half of the callers have given up
	server.Resume(t)
	wg.Wait()
	// A question is two commands. Who comes after the answer has no reason to ask.
	if n := questions(t, root) - asked; n > 2 {
		t.Errorf("%d callers asked the server %d times", callers, n)
	}
}

// A question that fails is an error, and the next caller asks again. Without a new connection there
// was no answer to be believed, and so there is no question.
func TestAServerThatIsAway(t *testing.T) {
	server := servers.Redis(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { client.Close() })
	p := openPast(t, client)
	before := p.told()
	server.Stop()
	if _, err := p.GetMany(t.Context(), []string{"a"}); err == nil {
		t.Fatal("the server is there")
	}
	if got := p.told(); got != before {
		t.Errorf("history %q, want %q", got, before)
	}
	fresh := openPast(t, client)
	if text, err := fresh.History(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "redis: history: "+server.Addr()) || text != "" {
		t.Errorf("%q, error %v", text, err)
	}
	server.Restart(t)
	fresh.eventually("asking again", func() error { _, err := fresh.History(t.Context()); return err })
	fresh.reads("a")
	if fresh.told() == before {
		t.Error("the history is the same")
	}
}

// A question ends with the driver, and by itself.
func TestAQuestionEnds(t *testing.T) {
	server := servers.Redis(t)
	closed, waits := openPast(t, dial(t, server)), openPast(t, dial(t, server))
	server.Pause(t)
	defer server.Resume(t)
	ended := make(chan error, 1)
	go func() { _, err := closed.History(t.Context()); ended <- err }()
	closed.eventually("asking", func() error {
		closed.Driver.history.mu.Lock()
		defer closed.Driver.history.mu.Unlock()
		if closed.Driver.history.asking == nil {
			return errors.New("not yet")
		}
		return nil
	})
	closed.Close()
	if err := <-ended; !errors.Is(err, drivers.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	// The caller's context has no end, and the client's timeouts are longer.
	if _, err := waits.History(t.Context()); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of a server that does not answer: %v", err)
	}
}

// Without the right to INFO the driver cannot tell, which is no error. It tells once it has the
// right.
func TestWithoutTheRightToAskNothingIsTold(t *testing.T) {
	server := servers.Redis(t)
	root := admin(t, server.Addr())
	do(t, root, "acl setuser cachegen on >pw ~* +@all -info")
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "cachegen", Password: "pw"})
	t.Cleanup(func() { client.Close() })
	p := openPast(t, client)
	for range 2 {
		p.set("a", "x")
		if got := p.history(); got != "" {
			t.Errorf("told %q", got)
		}
	}
	do(t, root, "acl setuser cachegen +info")
	do(t, root, "client kill type normal skipme yes")
	p.reads("a")
	if got, want := p.told(), openPast(t, dial(t, server)).told(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// race R46, for one shard of a Cluster.
func TestAClusterFailoverIsNoticedAtOnce(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t, "--cluster-node-timeout", "1500")
	master := server.Masters[1]
	replica := server.AddReplica(t, master, "--cluster-node-timeout", "1500")
	root := admin(t, replica.Addr())
	p := openPast(t, dialCluster(t, server))
	another := openPast(t, dialCluster(t, server))
	keys := p.keysOf(master)
	for _, key := range keys {
		p.set(key, "x")
	}
	before := p.told()
	if got := another.told(); got != before {
		t.Errorf("another process is told %q, this one %q", got, before)
	}

	// Without an end of any connection, to a node that the client has connections to.
	do(t, root, "cluster failover")
	p.eventually("the failover", func() error {
		if !strings.Contains(do(t, root, "info replication"), "role:master") {
			return errors.New("not yet")
		}
		return nil
	})
	p.client.(*goredis.ClusterClient).ReloadState(t.Context())
	p.eventually("the replica answers", func() error {
		asked := calls(t, root, "get")
		if got := p.reads(keys[0]); got != "x" {
			return fmt.Errorf("read %q", got)
		}
		if calls(t, root, "get") == asked {
			return errors.New("not yet")
		}
		return nil
	})
	after := p.told()
	if after == before {
		t.Error("the history is the same")
	}
	another.reads(keys[0])
	if got := another.told(); got != after {
		t.Errorf("another process is told %q, this one %q", got, after)
	}

	p.eventually("the master before follows", func() error {
		if text := do(t, admin(t, master.Addr()), "info replication"); !strings.Contains(text, "master_link_status:up") {
			return errors.New(text)
		}
		return nil
	})
	// The other way round, by the loss of the master. Until then the other shards work, and nothing
	// has gone back.
	replica.Stop()
	other := p.keysOf(server.Masters[0])[0]
	if _, err := p.GetMany(t.Context(), []string{other}); err != nil {
		t.Errorf("a shard that is not concerned: %v", err)
	}
	if got := p.told(); got != after {
		t.Errorf("without a master of one shard: history %q, want %q", got, after)
	}
	for _, key := range keys {
		p.reads(key)
		if got := p.told(); got == after || got == before {
			t.Errorf("after the second failover the history is one of those before")
		}
	}
	last := p.told()
	for name, p := range map[string]past{"the other process": another, "a new process": openPast(t, dialCluster(t, server))} {
		p.reads(keys[0])
		if got := p.told(); got != last {
			t.Errorf("%s is told %q, this one %q", name, got, last)
		}
	}
}

// keysOf returns keys whose slots a master has.
func (p past) keysOf(master *servers.RedisServer) (keys []string) {
	p.t.Helper()
	for i := 0; len(keys) < 5; i++ {
		key := fmt.Sprint("key", i)
		node, err := p.client.(*goredis.ClusterClient).MasterForKey(p.t.Context(), key)
		if err != nil {
			p.t.Fatal(err)
		}
		if node.Options().Addr == master.Addr() {
			keys = append(keys, key)
		}
	}
	return keys
}

// While a slot moves, the node that gets it answers for keys that are there already. That is no
// reason to doubt anything, also if the node has no slots yet and so is not known as a master.
func TestASlotThatMovesIsNoChangeUntilItHas(t *testing.T) {
	t.Parallel() // starting its servers is mostly waiting
	server := servers.RedisCluster(t)
	added := server.AddMaster(t)
	client := dialCluster(t, server)
	p := openPast(t, client)
	ctx := t.Context()
	key := p.keysOf(server.Masters[0])[0]
	p.set(key, "x")
	before := p.told()
	from, to := admin(t, server.Masters[0].Addr()), admin(t, added.Addr())
	slot := int(client.ClusterKeySlot(ctx, key).Val())
	do(t, to, fmt.Sprintf("cluster setslot %d importing %s", slot, do(t, from, "cluster myid")))
	do(t, from, fmt.Sprintf("cluster setslot %d migrating %s", slot, do(t, to, "cluster myid")))
	_, port, _ := net.SplitHostPort(added.Addr())
	do(t, from, fmt.Sprintf("migrate 127.0.0.1 %s %s 0 5000", port, key))
	for range 3 {
		if got := p.reads(key); got != "x" {
			t.Errorf("read %q", got)
		}
		if got := p.told(); got != before {
			t.Errorf("while the slot moves: history %q, want %q", got, before)
		}
	}
	if calls(t, to, "get") == 0 {
		t.Fatal("the new node was not asked: the test does not test what it should")
	}
	for _, s := range append(server.Masters, added) {
		do(t, admin(t, s.Addr()), fmt.Sprintf("cluster setslot %d node %s", slot, do(t, to, "cluster myid")))
	}
	client.ReloadState(ctx)
	p.eventually("the new master is part of the history", func() error {
		if p.reads(key); p.told() == before {
			return errors.New("not yet")
		}
		return nil
	})
	if got, want := p.told(), openPast(t, dialCluster(t, server)).told(); got != want {
		t.Errorf("history %q, a new process is told %q", got, want)
	}
}

// The keys of a server of a Ring that is down are on the others, and what was changed there
// meanwhile is not on the server when it is back.
func TestAServerOfARingThatIsBackIsNoticed(t *testing.T) {
	one, two := servers.Redis(t), servers.Redis(t)
	open := func() past {
		ring := goredis.NewRing(&goredis.RingOptions{
			Addrs: map[string]string{"one": one.Addr(), "two": two.Addr()}, HeartbeatFrequency: 20 * time.Millisecond,
			ReadTimeout: 200 * time.Millisecond, MaxRetries: -1, DialerRetries: 1,
		})
		t.Cleanup(func() { ring.Close() })
		return openPast(t, ring)
	}
	p, other := open(), open()
	p.set("a", "x")
	both := p.told()
	if got := other.told(); got != both {
		t.Errorf("another process is told %q, this one %q", got, both)
	}
	two.Pause(t) // it keeps its data, and who it is
	resume := sync.OnceFunc(func() { two.Resume(t) })
	defer resume()
	alive := func(n int) {
		t.Helper()
		p.eventually("the ring notices", func() error {
			if got := p.Driver.history.alive(); got != n {
				return fmt.Errorf("%d servers", got)
			}
			return nil
		})
	}
	alive(1)
	alone := p.told()
	if alone == both {
		t.Error("the history without a server is the same")
	}
	resume()
	alive(2)
	if got := p.told(); got == alone {
		t.Error("a server is back, and the history is the same")
	}
}
