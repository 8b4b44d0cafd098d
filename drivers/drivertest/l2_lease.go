package drivertest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// leasing is a store that is a Leaser.
type leasing struct {
	l2
	drivers.Leaser
}

// check compares results, one for each key, with what is wanted.
func (s leasing) check(operation string, keys int, got, want []bool, err error) {
	s.t.Helper()
	must(s.t, operation, err)
	if len(got) != keys {
		s.t.Fatalf("%s of %d keys returned %d results", operation, keys, len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			s.t.Errorf("%s, key %d: %v, want %v", operation, i, got[i], want[i])
		}
	}
}

// ask asks for leases of keys, for an hour unless the request says another TTL.
func (s leasing) ask(want drivers.LeaseRequest, keys ...string) []drivers.Lease {
	s.t.Helper()
	if want.TTL == 0 {
		want.TTL = time.Hour
	}
	got, err := s.LeaseMany(s.ctx, keys, want)
	must(s.t, "LeaseMany for "+brief(want.Token), err)
	if len(got) != len(keys) {
		s.t.Fatalf("LeaseMany of %d keys returned %d results", len(keys), len(got))
	}
	for i, l := range got {
		if l.Taken && l.Holder != "" || (l.Holder == "") != (l.Left == 0) || l.Left < 0 || !l.Taken && l.Holder == "" && !want.IfAbsent {
			s.t.Errorf("LeaseMany for %s, key %d: taken %v, held by %s for %s", brief(want.Token), i, l.Taken, brief(l.Holder), l.Left)
		}
	}
	return got
}

// lease checks for which of keys the lease is taken for token.
func (s leasing) lease(token string, want []bool, keys ...string) {
	s.t.Helper()
	got := s.ask(drivers.LeaseRequest{Token: token}, keys...)
	taken := make([]bool, len(got))
	for i := range got {
		taken[i] = got[i].Taken
	}
	s.check("LeaseMany for "+brief(token), len(keys), taken, want, nil)
}

// fill checks which of items are stored with the leases of token. It returns which of the
// leases were awaited.
func (s leasing) fill(token string, want []bool, items ...drivers.Item) (awaited []bool) {
	s.t.Helper()
	got, err := s.FillMany(s.ctx, items, token)
	stored := make([]bool, len(got))
	awaited = make([]bool, len(got))
	for i := range got {
		stored[i], awaited[i] = got[i].Stored, got[i].Awaited
		if awaited[i] && !stored[i] {
			s.t.Errorf("FillMany for %s, item %d: awaited, and not stored", brief(token), i)
		}
	}
	s.check("FillMany for "+brief(token), len(items), stored, want, err)
	return awaited
}

// renew checks which of keys token has the lease of.
func (s leasing) renew(token string, ttl time.Duration, want []bool, keys ...string) {
	s.t.Helper()
	got, err := s.RenewMany(s.ctx, keys, token, ttl)
	s.check("RenewMany for "+brief(token), len(keys), got, want, err)
}

// release returns which of the leases were awaited.
func (s leasing) release(token string, keys ...string) (awaited []bool) {
	s.t.Helper()
	got, err := s.ReleaseMany(s.ctx, keys, token)
	s.check("ReleaseMany for "+brief(token), len(keys), got, nil, err)
	return got
}

// prune removes expired items, if the store is a Pruner.
func (s leasing) prune() {
	s.t.Helper()
	if pruner, ok := drivers.PrunerOf(s.L2); ok {
		_, err := pruner.Prune(s.ctx)
		must(s.t, "Prune", err)
	}
}

func l2Leaser(run func(string, func(*testing.T, l2))) {
	lease := func(name string, test func(t *testing.T, s leasing)) {
		run("Lease/"+name, func(t *testing.T, s l2) { test(t, leasing{s, mustHave(drivers.LeaserOf(s.L2))}) })
	}
	lease("NoKeys", func(t *testing.T, s leasing) {
		s.lease("t", nil)
		s.fill("t", nil)
		s.renew("t", time.Hour, nil)
		s.release("t")
	})
	lease("OneHolder", leaseOneHolder)
	lease("IsBesideTheValue", leaseBeside)
	lease("Release", leaseRelease)
	lease("MixedBatch", leaseMixed)
	lease("LargeBatch", leaseBatch)
	lease("Ends", leaseEnds)
	lease("ShortestAndLongest", leaseExtreme)
	lease("FillKeepsItsTTL", leaseFillTTL)
	lease("KeysAndTokensAreBytes", leaseBytes)
	lease("Refused", leaseRefused)
	lease("IfAbsent", leaseIfAbsent)
	lease("Replace", leaseReplace)
	lease("Await", leaseAwait)
	lease("TellsWhatItFound", leaseTells)
	lease("TheSameKeyTwice", leaseTwice)
	lease("Renew", leaseRenew)
	lease("OneWinner", leaseOneWinner)
	lease("ManyCallersOfOneKey", leaseManyCallers)
	lease("FillAgainstWrites", leaseAgainstWrites)
	lease("FillAgainstReplace", leaseAgainstReplace)
	lease("RenewAgainstChanges", leaseRenewAgainstChanges)
}

func leaseOneHolder(t *testing.T, s leasing) {
	a := s.key("a")
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("never lent")})
	s.lease("t1", yes, a)
	s.lease("t2", no, a)
	s.lease("t1", no, a)
	s.fill("t2", no, drivers.Item{Key: a, Value: []byte("lent to another")})
	s.expect(a, nil)
	s.fill("t1", yes, drivers.Item{Key: a, Value: []byte("one")})
	s.expect(a, []byte("one"))
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("two")})
	s.expect(a, []byte("one"))
	s.lease("t2", yes, a)
	s.fill("t2", yes, drivers.Item{Key: a})
	s.expect(a, []byte{})
}

// leaseBeside: a lease does not hide the value, and the value does not hide the lease.
func leaseBeside(t *testing.T, s leasing) {
	full, bare := s.key("full"), s.key("bare")
	s.set(drivers.Item{Key: full, Value: []byte("old"), TTL: time.Hour})
	s.lease("t1", []bool{true, true}, full, bare)
	s.expect(full, []byte("old"))
	s.expect(bare, nil)
	s.prune()
	if scanner, ok := drivers.ScannerOf(s.L2); ok {
		if got := (scanning{s.l2, scanner}).scan(s.prefix); len(got) != 1 || !got[full] {
			t.Errorf("scan names %v, want only what has a value", got)
		}
	}
	s.lease("t2", []bool{false, false}, full, bare)
	s.fill("t1", []bool{true, true}, drivers.Item{Key: full, Value: []byte("new")}, drivers.Item{Key: bare, Value: []byte("new")})
	s.expect(full, []byte("new"))
	s.expect(bare, []byte("new"))

	// A value that expires during a lease of its key.
	short := s.key("short")
	s.set(drivers.Item{Key: short, Value: []byte("old"), TTL: 30 * time.Millisecond})
	s.lease("t1", yes, short)
	s.waitAbsent(short)
	s.prune()
	s.lease("t2", no, short)
	s.fill("t1", yes, drivers.Item{Key: short, Value: []byte("new")})
	s.expect(short, []byte("new"))
}

func leaseRelease(t *testing.T, s leasing) {
	a := s.key("a")
	s.release("t1", a)
	s.lease("t1", yes, a)
	s.release("t2", a)
	s.lease("t2", no, a)
	s.release("t1", a)
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("x")})
	s.lease("t2", yes, a)
	s.release("t1", a)
	s.fill("t2", yes, drivers.Item{Key: a, Value: []byte("x")})
	s.release("t2", a)
	s.expect(a, []byte("x"))
}

func leaseMixed(t *testing.T, s leasing) {
	a, b, c := s.key("a"), s.key("b"), s.key("c")
	s.lease("t1", yes, b)
	s.lease("t2", []bool{true, false, true}, a, b, c)
	s.fill("t2", []bool{true, false}, drivers.Item{Key: a, Value: []byte("2")}, drivers.Item{Key: b, Value: []byte("2")})
	s.fill("t1", []bool{false, true, false},
		drivers.Item{Key: a, Value: []byte("1")}, drivers.Item{Key: b, Value: []byte("1")}, drivers.Item{Key: c, Value: []byte("1")})
	s.expect(a, []byte("2"))
	s.expect(b, []byte("1"))
	s.expect(c, nil)
	s.release("t2", a, b, c)
	s.lease("t3", []bool{true, true, true}, a, b, c)
}

func leaseBatch(t *testing.T, s leasing) {
	n := s.limit.batch(1000)
	var keys, odd []string
	var items []drivers.Item
	var first, second []bool
	for i := range n {
		key := s.key(fmt.Sprint(i))
		keys = append(keys, key)
		items = append(items, drivers.Item{Key: key, Value: fmt.Append(nil, i), TTL: time.Hour})
		if i%2 == 1 {
			odd = append(odd, key)
			first = append(first, true)
		}
		second = append(second, i%2 == 0)
	}
	s.lease("t1", first, odd...)
	s.lease("t2", second, keys...)
	s.fill("t2", second, items...)
	for i, got := range s.get(keys...) {
		var want []byte
		if second[i] {
			want = items[i].Value
		}
		mustEqual(t, fmt.Sprintf("key %d", i), got, want)
	}
	s.release("t1", keys...)
	s.lease("t3", []bool{true, true}, keys[0], keys[1])

	// Keys with leases only, more than one statement names.
	var bare []string
	var every []bool
	for i := range n {
		bare, every = append(bare, s.key(fmt.Sprint("bare", i))), append(every, true)
	}
	s.lease("t1", every, bare...)
	s.release("t1", bare...)
	s.lease("t2", every, bare...)
}

// leaseEnds: the leases of a process that died end, and a process that takes longer than its
// lease does not store what it has loaded.
func leaseEnds(t *testing.T, s leasing) {
	const ttl = 200 * time.Millisecond
	a := s.key("a")
	start := time.Now()
	if !s.ask(drivers.LeaseRequest{Token: "t1", TTL: ttl}, a)[0].Taken {
		t.Fatal("the lease of a new key is not taken")
	}
	eventually(t, "the lease ends", func() bool { return s.ask(drivers.LeaseRequest{Token: "t2"}, a)[0].Taken })
	// The server reads its clock a little later than the call begins.
	if held := time.Since(start); held < ttl-20*time.Millisecond {
		t.Errorf("the lease ended after %s of %s", held, ttl)
	}
	s.fill("t1", no, drivers.Item{Key: a, Value: []byte("late")})
	s.renew("t1", time.Hour, no, a)
	s.release("t1", a)
	s.expect(a, nil)
	s.fill("t2", yes, drivers.Item{Key: a, Value: []byte("x")})
	s.expect(a, []byte("x"))
}

func leaseExtreme(t *testing.T, s leasing) {
	for name, ttl := range map[string]time.Duration{"shortest": 1, "century": 100 * 365 * 24 * time.Hour, "longest": math.MaxInt64} {
		if !s.ask(drivers.LeaseRequest{Token: "t1", TTL: ttl}, s.key(name))[0].Taken {
			t.Errorf("the %s lease is not taken", name)
		}
	}
	eventually(t, "the shortest lease ends", func() bool {
		return s.ask(drivers.LeaseRequest{Token: "t2"}, s.key("shortest"))[0].Taken
	})
	s.renew("t1", math.MaxInt64, yes, s.key("century"))
	s.lease("t2", []bool{false, false}, s.key("century"), s.key("longest"))
	s.fill("t1", yes, drivers.Item{Key: s.key("longest"), Value: []byte("x")})
}

func leaseFillTTL(t *testing.T, s leasing) {
	const ttl = 50 * time.Millisecond
	a, b := s.key("a"), s.key("b")
	s.lease("t", []bool{true, true}, a, b)
	s.fill("t", []bool{true, true}, drivers.Item{Key: a, Value: []byte("x")}, drivers.Item{Key: b, Value: []byte("x"), TTL: ttl})
	s.waitAbsent(b)
	s.expect(a, []byte("x"))
}

func leaseBytes(t *testing.T, s leasing) {
	var keys []string
	for _, name := range s.awkwardNames() {
		keys = append(keys, s.key(name), name+s.prefix)
	}
	long := make([]byte, s.limit.longest())
	for i := range long {
		long[i] = 'l'
	}
	keys = append(keys, string(long))
	if !s.limit.NoEmptyKey {
		keys = append(keys, "")
	}
	s.delete(keys...)
	for _, key := range keys {
		s.lease(everyByte(), yes, key)
	}
	for i, key := range keys {
		if holder := s.ask(drivers.LeaseRequest{Token: "t"}, key)[0].Holder; holder != everyByte() {
			t.Errorf("key %s: the holder is %q", brief(key), holder)
		}
		s.fill("t", no, drivers.Item{Key: key, Value: []byte("t")})
		s.renew(everyByte(), time.Hour, yes, key)
		s.fill(everyByte(), yes, drivers.Item{Key: key, Value: fmt.Append(nil, i)})
		s.expect(key, fmt.Append(nil, i))
	}
	s.delete(keys...)
	a := s.key("token")
	for _, token := range []string{"t", "1", "-1", " ", "\x00", "\xff", "\xff\xfe", "{}", "a\x00b", "0", "nil", "1:t", everyByte()[:255]} {
		s.lease(token, yes, a)
		for _, other := range []string{strings.ReplaceAll(token, "t", "T") + "T", strings.ReplaceAll(token, "t", "T"), token + " ", token + "\x00", " " + token, token + "t", "1" + token, "0" + token} {
			if other == token {
				continue
			}
			s.fill(other, no, drivers.Item{Key: a, Value: []byte("x")})
			s.renew(other, time.Hour, no, a)
			s.release(other, a)
		}
		if holder := s.ask(drivers.LeaseRequest{Token: "other", Await: true}, a)[0].Holder; holder != token {
			t.Errorf("the holder is %q, want %q", holder, token)
		}
		if awaited := s.fill(token, yes, drivers.Item{Key: a, Value: []byte("x")}); !awaited[0] {
			t.Errorf("the lease of %q is not awaited", token)
		}
	}
}

func leaseRefused(t *testing.T, s leasing) {
	keys := []string{s.key("a"), s.key("b")}
	for _, ttl := range []time.Duration{0, -1, math.MinInt64} {
		_, err := s.LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: "t", TTL: ttl})
		mustFail(t, fmt.Sprintf("LeaseMany for %s", ttl), err, drivers.ErrRefused)
		_, err = s.RenewMany(s.ctx, keys, "t", ttl)
		mustFail(t, fmt.Sprintf("RenewMany for %s", ttl), err, drivers.ErrRefused)
	}
	for what, token := range map[string]string{"no token": "", "a token of 257 bytes": strings.Repeat("t", 257), "a token of 1 MB": strings.Repeat("t", 1<<20)} {
		_, err := s.LeaseMany(s.ctx, keys, drivers.LeaseRequest{Token: token, TTL: time.Hour})
		mustFail(t, "LeaseMany with "+what, err, drivers.ErrRefused)
		_, err = s.FillMany(s.ctx, items(keys, "x"), token)
		mustFail(t, "FillMany with "+what, err, drivers.ErrRefused)
		_, err = s.RenewMany(s.ctx, keys, token, time.Hour)
		mustFail(t, "RenewMany with "+what, err, drivers.ErrRefused)
		_, err = s.ReleaseMany(s.ctx, keys, token)
		mustFail(t, "ReleaseMany with "+what, err, drivers.ErrRefused)
	}
	s.lease("t", []bool{true, true}, keys...)
}

// leaseManyCallers: when a key that everybody wants is cold, one caller loads it, and all others
// know whom they wait for.
func leaseManyCallers(t *testing.T, s leasing) {
	const processes, atOnce = 8, 8 // more at once would need more connections than some servers have
	callers := s.limit.batch(2000)
	handles := s.handles(processes)
	key := s.key("cold")
	found := make([]drivers.Lease, callers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range processes * atOnce {
		leaser := mustHave(drivers.LeaserOf(handles[i%processes]))
		wg.Go(func() {
			for c := int(next.Add(1)) - 1; c < callers; c = int(next.Add(1)) - 1 {
				got, err := leaser.LeaseMany(s.ctx, []string{key}, drivers.LeaseRequest{Token: fmt.Sprint("t", c), TTL: time.Hour, IfAbsent: true, Await: true})
				if err != nil || len(got) != 1 {
					t.Errorf("LeaseMany: %v, %v", got, err)
					return
				}
				found[c] = got[0]
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	winner := slices.IndexFunc(found, func(l drivers.Lease) bool { return l.Taken })
	if winner < 0 {
		t.Fatal("nobody got the lease")
	}
	token := fmt.Sprint("t", winner)
	for c, l := range found {
		if c != winner && (l.Taken || l.Holder != token || l.Left <= 0) {
			t.Fatalf("caller %d: taken %v, held by %s for %s, and caller %d has the lease", c, l.Taken, brief(l.Holder), l.Left, winner)
		}
	}
	if awaited := s.fill(token, yes, drivers.Item{Key: key, Value: []byte("x")}); !awaited[0] {
		t.Error("the fill is told that nobody waits")
	}
}

// leaseOneWinner: of many concurrent callers, one gets the lease of a key.
func leaseOneWinner(t *testing.T, s leasing) {
	const callers, keys, rounds = 12, 5, 5
	handles := s.handles(3)
	for round := range rounds {
		var names []string
		for k := range keys {
			names = append(names, s.key(fmt.Sprint(round, "/", k)))
		}
		results := make([][]drivers.Lease, callers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for c := range callers {
			leaser := mustHave(drivers.LeaserOf(handles[c%len(handles)]))
			wg.Go(func() {
				<-start
				got, err := leaser.LeaseMany(s.ctx, names, drivers.LeaseRequest{Token: fmt.Sprint("t", c), TTL: time.Hour})
				if err != nil || len(got) != keys {
					t.Errorf("LeaseMany: %v, %v", got, err)
					return
				}
				results[c] = got
			})
		}
		close(start)
		wg.Wait()
		if t.Failed() {
			return
		}
		for k, name := range names {
			var winners []int
			for c := range callers {
				if results[c][k].Taken {
					winners = append(winners, c)
				}
			}
			if len(winners) != 1 {
				t.Fatalf("key %d is lent to callers %v", k, winners)
			}
			for c := range callers {
				if got, want := results[c][k].Holder, fmt.Sprint("t", winners[0]); c != winners[0] && got != want {
					t.Errorf("key %d: caller %d is told that %q has the lease, want %q", k, c, got, want)
				}
			}
			s.fill(fmt.Sprint("t", winners[0]), yes, drivers.Item{Key: name, Value: []byte("x"), TTL: time.Hour})
		}
	}
}
