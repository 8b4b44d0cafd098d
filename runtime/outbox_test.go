package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

const poll = runtime.DefaultOutboxPoll

// A fleet is a few processes with one shared tier, one bus and one database.
type fleet struct {
	t      *testing.T
	shared faketier.Shared
	bus    faketier.Bus
	db     faketier.Outbox
	row    row
}

// A member of the fleet.
type member struct {
	*fleet
	process *faketier.Process
	store   *runtime.Store
	cache   *runtime.Cache[int, int]

	mu     sync.Mutex
	events []event.Outbox
}

func (f *fleet) join(options ...runtime.StoreOption) *member {
	f.t.Helper()
	return f.joinAs(f.db.Process(), nil, options...)
}

func (f *fleet) joinAs(p *faketier.Process, driver drivers.Outbox, options ...runtime.StoreOption) *member {
	f.t.Helper()
	m := &member{fleet: f, process: p}
	if driver == nil {
		driver = p
	}
	all := []runtime.StoreOption{
		memoryTier(), runtime.L2(&f.shared), runtime.Bus(&f.bus), runtime.Outbox(driver), runtime.Prefix("app"),
		runtime.Hooks(event.Hooks{Outbox: func(e event.Outbox) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.events = append(m.events, e)
		}}),
	}
	m.store = newStore(f.t, append(all, options...)...)
	m.cache = newCache[int, int](f.t, m.store, runtime.TTL(time.Hour), runtime.Grace(time.Hour))
	synctest.Wait()
	return m
}

func (m *member) told() []event.Outbox {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]event.Outbox{}, m.events...)
}

// A tx is a transaction of a member.
type tx struct {
	*faketier.Tx
	ctx       context.Context
	collected *runtime.Collected
}

// begin begins a transaction that writes n into the row.
func (m *member) begin(n int64) *tx {
	m.t.Helper()
	x := &tx{Tx: m.db.Begin()}
	x.ctx, x.collected = runtime.Collect(m.t.Context())
	m.row.written.Store(n)
	return x
}

// commit ends a transaction, and leaves what was collected to somebody else.
func (m *member) commit(x *tx) {
	m.t.Helper()
	if err := x.collected.WriteOutbox(x.ctx, x.Exec); err != nil {
		m.t.Fatal(err)
	}
	m.row.commit()
	x.Commit()
}

// die is what a process does that is killed between the commit and the invalidation.
func (m *member) die(x *tx) {
	m.t.Helper()
	m.commit(x)
	m.process.Kill()
	m.t.Cleanup(x.collected.Rollback)
}

func (m *member) read(key int) int {
	m.t.Helper()
	v, err := m.cache.GetOrSet(m.t.Context(), key, m.row.load)
	if err != nil {
		m.t.Error(err)
	}
	return v
}

// readAgain reads after a value that is stale has been loaded.
func (m *member) readAgain(key int) int {
	m.t.Helper()
	m.read(key)
	synctest.Wait()
	return m.read(key)
}

// rows checks how many entries are in the outbox.
func (f *fleet) rows(want int) {
	f.t.Helper()
	if rows := f.db.Rows(); len(rows) != want {
		f.t.Errorf("%d entries in the outbox, want %d: %+v", len(rows), want, rows)
	}
}

func inFleet(t *testing.T, f func(t *testing.T, f *fleet)) {
	t.Helper()
	bubble(t, func(t *testing.T) { f(t, &fleet{t: t}) })
}

// changesOf are the ways in which a transaction can change key 7 of a cache.
var changesOf = map[string]func(ctx context.Context, m *member) error{
	"Delete":      func(ctx context.Context, m *member) error { return m.cache.Delete(ctx, 7) },
	"Expire":      func(ctx context.Context, m *member) error { return m.cache.Expire(ctx, 7) },
	"Set":         func(ctx context.Context, m *member) error { return m.cache.Set(ctx, 7, int(m.row.written.Load())) },
	"DeleteByTag": func(ctx context.Context, m *member) error { return m.store.DeleteByTag(ctx, "tag") },
	"ExpireByTag": func(ctx context.Context, m *member) error { return m.store.ExpireByTag(ctx, "tag") },
	"ClearCache":  func(ctx context.Context, m *member) error { return m.cache.Clear(ctx) },
	"ClearStore":  func(ctx context.Context, m *member) error { return m.store.Clear(ctx) },
	"Pull":        func(ctx context.Context, m *member) error { _, _, err := m.cache.Pull(ctx, 7); return err },
	"Namespace": func(ctx context.Context, m *member) error {
		c := newCacheNamed[int, int](m.t, m.store.Namespace("a").Namespace("b"), "other")
		if err := c.Delete(ctx, 1); err != nil {
			return err
		}
		if err := m.store.Namespace("a").Namespace("b").Clear(ctx); err != nil {
			return err
		}
		return m.cache.Delete(ctx, 7)
	},
}

func everyChangeIn(t *testing.T, run func(t *testing.T, f *fleet, change func(ctx context.Context, m *member) error)) {
	for name, change := range changesOf {
		t.Run(name, func(t *testing.T) { inFleet(t, func(t *testing.T, f *fleet) { run(t, f, change) }) })
	}
}

// fill has all members keep the present row under key 7, with a tag.
func (f *fleet) fill(members ...*member) {
	f.t.Helper()
	for _, m := range members {
		v, err := m.cache.GetOrSet(f.t.Context(), 7, m.row.load, runtime.Tags("tag"))
		want(f.t, v, err, int(f.row.committed.Load()))
	}
	synctest.Wait()
}

// race R57: the process is killed when the database has committed, and before it has invalidated
// anything. Others do it.
func TestWhatAProcessLeavesIsCarriedOutByAnother(t *testing.T) {
	everyChangeIn(t, func(t *testing.T, f *fleet, change func(ctx context.Context, m *member) error) {
		dying, other, third := f.join(), f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(dying, other, third)
		x := dying.begin(2)
		if err := change(x.ctx, dying); err != nil {
			t.Fatal(err)
		}
		dying.die(x)
		if got := other.read(7); got != 1 {
			t.Fatalf("read %d before anybody could know: the test shows nothing", got)
		}
		time.Sleep(3 * poll)
		synctest.Wait()
		for i, m := range []*member{other, third, dying} { // it is killed in the database only
			if got := m.readAgain(7); got != 2 {
				t.Errorf("process %d reads %d after it was carried out", i, got)
			}
		}
		f.rows(0)
		told := append(other.told(), third.told()...)
		if len(told) != 1 || told[0].Entries != 1 || told[0].Attempts != 1 || told[0].Err != nil || told[0].Store != "test" || told[0].Age < poll {
			t.Errorf("%+v", told)
		}
	})
}

// The process itself does not wait for the table, and others have nothing to do.
func TestWhatCommitsIsCarriedOutAtOnce(t *testing.T) {
	everyChangeIn(t, func(t *testing.T, f *fleet, change func(ctx context.Context, m *member) error) {
		own, other := f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(own, other)
		x := own.begin(2)
		if err := change(x.ctx, own); err != nil {
			t.Fatal(err)
		}
		own.commit(x)
		f.rows(1)
		if n := f.db.Calls("append"); n != 1 {
			t.Errorf("%d statements", n)
		}
		began := time.Now()
		if err := x.collected.Commit(x.ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, m := range []*member{own, other} {
			if got := m.readAgain(7); got != 2 {
				t.Errorf("read %d after the commit", got)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		time.Sleep(100 * time.Millisecond)
		f.rows(0)
		loads := f.row.loads.Load()
		time.Sleep(10 * poll)
		for _, m := range []*member{own, other} {
			if got := m.read(7); got != 2 {
				t.Errorf("later it reads %d", got)
			}
			if told := m.told(); len(told) > 0 {
				t.Errorf("%+v", told)
			}
		}
		if n := f.row.loads.Load(); n != loads {
			t.Errorf("%d loads more", n-loads)
		}
	})
}

// Exactly what commits.
func TestWhatIsRolledBackIsNotCarriedOut(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		m := f.join()
		f.row.committed.Store(1)
		f.fill(m)
		x := m.begin(2)
		if err := m.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		if err := x.collected.WriteOutbox(x.ctx, x.Exec); err != nil {
			t.Fatal(err)
		}
		x.Rollback()
		x.collected.Rollback()
		f.rows(0)
		time.Sleep(10 * poll)
		loads := f.row.loads.Load()
		if got := m.read(7); got != 1 || f.row.loads.Load() != loads {
			t.Errorf("read %d with %d loads", got, f.row.loads.Load()-loads)
		}
	})
}

// Nobody knows whether it was committed: here it is a second later.
func TestAnUnclearCommitIsCarriedOutNowAndWhenItIsSeen(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		m, other := f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(m, other)
		x := m.begin(2)
		if err := m.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		if err := x.collected.WriteOutbox(x.ctx, x.Exec); err != nil {
			t.Fatal(err)
		}
		if err := x.collected.Unclear(x.ctx); err != nil {
			t.Fatal(err)
		}
		f.fill(m, other) // the old row
		time.Sleep(time.Second)
		if n := f.db.Calls("remove"); n > 0 { // some databases wait for the row, and remove it when it is committed
			t.Errorf("%d removals before the commit", n)
		}
		f.row.commit()
		x.Commit()
		f.rows(1)
		time.Sleep(3 * poll)
		for _, m := range []*member{m, other} {
			if got := m.read(7); got != 2 {
				t.Errorf("read %d", got)
			}
		}
		f.rows(0)
	})
}

// While the shared tier is away, entries stay: also if the program is told nothing of it.
func TestAnEntryStaysUntilEverybodyWasReached(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation", "deleted", "outbox")...)
	for name, options := range map[string][]runtime.StoreOption{"reported": nil, "logged": {runtime.Log}} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, func(t *testing.T, f *fleet) {
				m := f.join(options...)
				f.row.committed.Store(1)
				f.fill(m)
				x := m.begin(2)
				if err := m.cache.Delete(x.ctx, 7); err != nil {
					t.Fatal(err)
				}
				m.commit(x)
				f.shared.Down(errors.New("away"))
				err := x.collected.Commit(x.ctx)
				if (err != nil) != (name == "reported") {
					t.Error(err)
				}
				if got := m.read(7); got != 2 {
					t.Errorf("here it reads %d", got)
				}
				time.Sleep(20 * time.Second)
				f.rows(1)
				m.process.Kill() // and with it what it remembers
				other := f.join(options...)
				time.Sleep(2 * time.Minute)
				f.rows(1)
				if n := f.db.Rows()[0].Attempts; n < 10 || n > 25 {
					t.Errorf("tried %d times in about two minutes, want once in 10 s", n)
				}
				f.shared.Down(nil)
				time.Sleep(20 * time.Second)
				f.rows(0)
				if got := other.read(7); got != 2 {
					t.Errorf("another reads %d", got)
				}
			})
		})
	}
}

// What cannot be read is kept, tells the log, and holds nobody up.
func TestAnEntryThatNobodyCanReadIsKeptAndHoldsNobodyUp(t *testing.T) {
	mayTell(t, "outbox")
	inFleet(t, func(t *testing.T, f *fleet) {
		dying, m := f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(dying, m)
		for i := range 150 { // more than are taken at a time
			e := drivers.OutboxEntry{Store: "app:!test", Payload: []byte{9, 1, 2, 3}}
			e.ID[0] = byte(i)
			f.db.Put(e)
		}
		x := dying.begin(2)
		if err := dying.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		dying.die(x)
		time.Sleep(3 * poll)
		if got := m.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
		f.rows(150)
		before := m.told()
		if first := before[0]; first.Err == nil || !strings.Contains(first.Err.Error(), "version 9") || first.Entries != 1 {
			t.Errorf("%+v", first)
		}
		time.Sleep(time.Hour)
		f.rows(150)
		perEntry := float64(len(m.told())-len(before)) / 150
		if perEntry < 10 || perEntry > 20 {
			t.Errorf("in an hour each was tried %.1f times, want about every 5 minutes", perEntry)
		}
	})
}

// What the tier refuses fails by itself: the others, which are taken with it, do not.
func TestAnEntryThatIsRefusedHoldsNobodyUp(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "outbox", "refused", "pending", "deleted")...)
	inFleet(t, func(t *testing.T, f *fleet) {
		f.shared.SetBefore(func(_ context.Context, op string, keys []string) error {
			for _, key := range keys {
				if op == "delete" && strings.Contains(key, "666") {
					return fmt.Errorf("too long: %w", drivers.ErrRefused)
				}
			}
			return nil
		})
		dying, m := f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(dying, m)
		for _, key := range []int{666, 7} {
			x := dying.begin(2)
			if err := dying.cache.Delete(x.ctx, key); err != nil {
				t.Fatal(err)
			}
			dying.commit(x)
			t.Cleanup(x.collected.Rollback)
		}
		dying.process.Kill()
		time.Sleep(4 * poll)
		if got := m.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
		f.rows(1)
	})
}

// race R58: an entry is carried out twice, the second time after somebody has stored a newer value.
// That costs a load, and whatever is read is the newest.
func TestADeletionThatIsRepeatedCostsALoad(t *testing.T) {
	everyChangeIn(t, func(t *testing.T, f *fleet, change func(ctx context.Context, m *member) error) {
		m, other := f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(m, other)
		x := m.begin(2)
		if err := change(x.ctx, m); err != nil {
			t.Fatal(err)
		}
		m.commit(x)
		entries := f.db.Rows()
		if err := x.collected.Commit(x.ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		// Somebody stores a newer value, which he has from a transaction of his own.
		f.row.written.Store(3)
		f.row.commit()
		if err := other.cache.Set(t.Context(), 7, 3, runtime.Tags("tag")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		loads := f.row.loads.Load()
		f.db.Put(entries[0])
		for range 100 {
			time.Sleep(poll / 20)
			for _, m := range []*member{m, other} {
				if got := m.read(7); got != 3 {
					t.Fatalf("read %d", got)
				}
			}
		}
		f.rows(0)
		if n := f.row.loads.Load() - loads; n > 2 {
			t.Errorf("it cost %d loads", n)
		}
	})
}

// Who has taken an entry may die as well.
func TestAnEntryThatADyingProcessHoldsIsCarriedOutByTheNext(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "deleted", "outbox")...)
	inFleet(t, func(t *testing.T, f *fleet) {
		var taker atomic.Pointer[member]
		f.shared.SetBefore(func(ctx context.Context, op string, keys []string) error {
			if dies := taker.Load(); dies != nil && op == "delete" {
				dies.process.Kill()
				taker.Store(nil)
				return errors.New("it is dead")
			}
			return nil
		})
		writer := f.join()
		f.row.committed.Store(1)
		x := writer.begin(2)
		if err := writer.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		f.fill(writer)
		writer.die(x)
		taker.Store(f.join())
		time.Sleep(3 * poll)
		f.rows(1)
		last := f.join()
		time.Sleep(poll + 4*runtime.DefaultL2Timeout + 3*poll)
		f.rows(0)
		if got := last.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
	})
}

// Stores of a program share an outbox; what concerns a store that a process does not have is left
// to those that have it.
func TestStoresShareAnOutbox(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		p := f.db.Process()
		var sharedB faketier.Shared
		a := f.joinAs(p, nil)
		b, err := runtime.NewStore("second", memoryTier(), runtime.L2(&sharedB), runtime.Outbox(p), runtime.Prefix("app"))
		if err != nil {
			t.Fatal(err)
		}
		cacheB := newCache[int, int](t, b, runtime.TTL(time.Hour))
		f.row.committed.Store(1)
		f.fill(a)
		if err := cacheB.Set(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		x := a.begin(2)
		if err := errors.Join(a.cache.Delete(x.ctx, 7), cacheB.Delete(x.ctx, 1)); err != nil {
			t.Fatal(err)
		}
		a.die(x)
		f.rows(2)
		if err := b.Close(t.Context()); err != nil { // the driver stays open, since the first store has it
			t.Fatal(err)
		}
		other := f.join()
		time.Sleep(3 * poll)
		if got := other.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
		f.rows(1)
		if rows := f.db.Rows(); rows[0].Store != "app:!second" || rows[0].Attempts != 0 {
			t.Errorf("%+v", rows)
		}
		again := newNamed(t, "second", memoryTier(), runtime.L2(&sharedB), runtime.Outbox(other.process), runtime.Prefix("app"))
		time.Sleep(3 * poll)
		f.rows(0)
		if _, ok, _ := newCache[int, int](t, again).Get(t.Context(), 1); ok {
			t.Error("the second store was not reached")
		}
	})
}

// A driver that tells of commits is asked when it has told, and else rarely.
func TestCommitsAreToldOf(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		dying := f.join()
		p := f.db.Process()
		m := f.joinAs(p, faketier.Notifying{Process: p})
		dying.process.Kill() // it does not look
		time.Sleep(10 * poll)
		before := f.db.Calls("take")
		time.Sleep(100 * poll)
		if n := f.db.Calls("take") - before; n > 20 {
			t.Errorf("it looks %d times in %v", n, 100*poll)
		}
		f.row.committed.Store(1)
		f.fill(dying, m)
		x := dying.begin(2)
		if err := dying.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		m.commit(x)
		t.Cleanup(x.collected.Rollback)
		time.Sleep(poll + poll/2)
		f.rows(0)
		if got := m.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
		// Transactions that come one after the other put it off for nobody.
		for range 20 {
			x := dying.begin(2)
			if err := dying.cache.Delete(x.ctx, 7); err != nil {
				t.Fatal(err)
			}
			m.commit(x)
			t.Cleanup(x.collected.Rollback)
			time.Sleep(poll / 4)
			if rows := f.db.Rows(); len(rows) > 12 {
				t.Fatalf("%d entries wait", len(rows))
			}
		}
		time.Sleep(3 * poll)
		f.rows(0)
	})
}

// A database that is away is asked less and less often, and at once again when it is back.
func TestADatabaseThatIsAwayIsLookedForRarely(t *testing.T) {
	mayTell(t, "outbox")
	inFleet(t, func(t *testing.T, f *fleet) {
		var tries atomic.Int64
		f.db.SetBefore(func(op string, _ int) error {
			if op == "take" {
				tries.Add(1)
			}
			return nil
		})
		m := f.join()
		f.row.committed.Store(1)
		f.fill(m)
		errAway := errors.New("the database is away")
		f.db.Down(errAway)
		x := m.begin(2)
		if err := m.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		if err := x.collected.WriteOutbox(x.ctx, x.Exec); !errors.Is(err, errAway) || !strings.HasPrefix(err.Error(), "cachegen: ") {
			t.Error(err)
		}
		x.collected.Rollback()
		time.Sleep(time.Hour)
		if n := tries.Load(); n > 150 || n < 80 {
			t.Errorf("%d tries in an hour", n)
		}
		f.db.Down(nil)
		time.Sleep(45 * time.Second)
		before := f.db.Calls("take")
		time.Sleep(100 * poll)
		if n := f.db.Calls("take") - before; n < 70 || n > 140 {
			t.Errorf("%d looks in %v", n, 100*poll)
		}
	})
}

// What was carried out and cannot be removed is carried out once more, and not for ever.
func TestWhatCannotBeRemovedIsRemovedLater(t *testing.T) {
	mayTell(t, "outbox")
	inFleet(t, func(t *testing.T, f *fleet) {
		var works atomic.Bool
		f.db.SetBefore(func(op string, _ int) error {
			if op == "remove" && !works.Load() {
				return errors.New("locked")
			}
			return nil
		})
		m := f.join()
		f.row.committed.Store(1)
		f.fill(m)
		x := m.begin(2)
		if err := m.cache.Delete(x.ctx, 7); err != nil {
			t.Fatal(err)
		}
		m.commit(x)
		if err := x.collected.Commit(x.ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		f.rows(1)
		works.Store(true)
		time.Sleep(10 * time.Second)
		f.rows(0)
		if got := m.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
	})
}

// Close removes what was carried out, and leaves the rest to others.
func TestCloseLeavesToOthersWhatIsNotCarriedOut(t *testing.T) {
	mayTell(t, append(theSharedTierFails, "pending", "invalidation", "deleted", "outbox")...)
	inFleet(t, func(t *testing.T, f *fleet) {
		m := f.join()
		f.row.committed.Store(1)
		for i, away := range []bool{false, true} {
			x := m.begin(2)
			if err := m.cache.Delete(x.ctx, 7+i); err != nil {
				t.Fatal(err)
			}
			m.commit(x)
			if away {
				f.shared.Down(errors.New("away"))
			}
			if err := x.collected.Commit(x.ctx); (err != nil) != away {
				t.Fatal(err)
			}
		}
		f.rows(2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var lost *runtime.InvalidationError
		if err := m.store.Close(ctx); !errors.As(err, &lost) {
			t.Error(err)
		}
		f.rows(1)
		f.shared.Down(nil)
		f.join()
		time.Sleep(3 * poll)
		f.rows(0)
	})
}

// A savepoint is a part of its transaction: what it changes is written with that.
func TestAPartOfATransactionIsWrittenWithIt(t *testing.T) {
	inFleet(t, func(t *testing.T, f *fleet) {
		dying, m := f.join(), f.join()
		f.row.committed.Store(1)
		f.fill(dying, m)
		x := dying.begin(2)
		for _, commit := range []bool{true, false} {
			ctx, part := runtime.Collect(x.ctx)
			key := 8
			if commit {
				key = 7
			}
			if err := dying.cache.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			if err := part.WriteOutbox(ctx, func(context.Context, string) error { return errors.New("not now") }); err != nil {
				t.Fatal(err)
			}
			if !commit {
				part.Rollback()
			} else if err := part.Commit(ctx); err != nil {
				t.Fatal(err)
			}
		}
		dying.die(x)
		if rows := f.db.Rows(); len(rows) != 1 || strings.Contains(string(rows[0].Payload), "8") {
			t.Errorf("%+v", rows)
		}
		time.Sleep(3 * poll)
		if got := m.read(7); got != 2 {
			t.Errorf("read %d", got)
		}
	})
}

// What is not in the outbox is lost with the process: somebody has to be told.
func TestACommitWithoutTheOutboxIsLogged(t *testing.T) {
	for name, test := range map[string]struct {
		before, after bool // WriteOutbox is called before the last change, and after
		logged        bool
	}{"never": {false, false, true}, "too early": {true, false, true}, "last": {true, true, false}} {
		t.Run(name, func(t *testing.T) {
			if test.logged {
				mayTell(t, "without its changes in the outbox")
			}
			inFleet(t, func(t *testing.T, f *fleet) {
				lines := new(logged)
				m := f.join(runtime.Logger(lines.logger()))
				x := m.begin(2)
				write := func(so bool) {
					if so {
						if err := x.collected.WriteOutbox(x.ctx, x.Exec); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := m.cache.Delete(x.ctx, 6); err != nil {
					t.Fatal(err)
				}
				write(test.before)
				if err := m.cache.Delete(x.ctx, 7); err != nil {
					t.Fatal(err)
				}
				write(test.after)
				x.Commit()
				if err := x.collected.Commit(x.ctx); err != nil {
					t.Fatal(err)
				}
				if (lines.count("without its changes in the outbox") > 0) != test.logged {
					t.Error("logged, or not")
				}
				if err := x.collected.WriteOutbox(x.ctx, x.Exec); !errors.Is(err, runtime.ErrCollectDone) {
					t.Error(err)
				}
				time.Sleep(100 * time.Millisecond)
				f.rows(0)
			})
		})
	}
}

// More than records can hold is one that clears the store.
func TestATransactionWithVeryManyChangesClearsTheStore(t *testing.T) {
	for _, n := range []int{5000, 300_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			mayTell(t, "too many")
			inFleet(t, func(t *testing.T, f *fleet) {
				dying, m := f.join(), f.join()
				f.row.committed.Store(1)
				f.fill(dying, m)
				x := dying.begin(2)
				var keys []int
				for i := range n {
					keys = append(keys, i)
				}
				if err := dying.cache.DeleteMany(x.ctx, keys...); err != nil {
					t.Fatal(err)
				}
				dying.die(x)
				if rows := len(f.db.Rows()); rows > 64 || n == 300_000 && rows != 1 {
					t.Errorf("%d entries", rows)
				}
				time.Sleep(3 * poll)
				if got := m.read(7); got != 2 {
					t.Errorf("read %d", got)
				}
				f.rows(0)
			})
		})
	}
}

func TestAnOutboxIsChecked(t *testing.T) {
	var db faketier.Outbox
	for name, options := range map[string][]runtime.StoreOption{
		"nil":        {runtime.Outbox(nil)},
		"twice":      {runtime.Outbox(db.Process()), runtime.Outbox(db.Process())},
		"poll":       {runtime.Outbox(db.Process()), runtime.OutboxPoll(0)},
		"negative":   {runtime.OutboxPoll(-1)},
		"long":       {runtime.Outbox(db.Process()), runtime.Prefix(strings.Repeat("x", 200))},
		"unusable":   {runtime.Outbox(unusableOutbox{db.Process()})},
		"other tier": {runtime.Outbox(db.Process()), runtime.TTL(-1)},
	} {
		if s, err := runtime.NewStore("test", append(options, memoryTier())...); err == nil {
			t.Errorf("%s: accepted", name)
			s.Close(t.Context())
		}
	}
	closed := db.Process()
	if _, err := runtime.NewStore("test", memoryTier(), runtime.Outbox(closed), runtime.TTL(-1)); err == nil {
		t.Fatal("accepted")
	}
	if _, err := closed.Take(t.Context(), drivers.OutboxRequest{}); !errors.Is(err, drivers.ErrClosed) {
		t.Error("it was left open")
	}
}

type unusableOutbox struct{ *faketier.Process }

func (unusableOutbox) Err() error { return errors.New("unusable") }
