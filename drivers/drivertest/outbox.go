package drivertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// An OutboxDatabase is the database of an outbox under test.
type OutboxDatabase struct {
	// Open returns an outbox. All of them have the same table, like those of several processes.
	Open func(t *testing.T) drivers.Outbox
	// Begin begins a transaction of the program.
	Begin func(t *testing.T) OutboxTransaction
	// OneWriter says that the database has one transaction that writes at a time: no other can
	// begin before the last one has ended.
	OneWriter bool
}

// An OutboxTransaction is a transaction of the program. It is ended by Commit or Rollback.
type OutboxTransaction struct {
	Exec             drivers.Exec
	Commit, Rollback func() error
}

// Outbox tests an outbox.
func Outbox(t *testing.T, db OutboxDatabase) {
	run := func(name string, test func(t *testing.T, o outbox)) {
		t.Run(name, func(t *testing.T) { test(t, newOutbox(t, db)) })
	}
	run("ExactlyWhatCommits", outboxCommits)
	run("NothingIsPassedOver", outboxLateCommit)
	run("AnOpenTransactionHoldsNobodyUp", outboxOpenTransaction)
	run("TransactionsAreNotHeldUp", outboxNobodyWaits)
	run("WaitsAsLongAsItIsTold", outboxWait)
	run("OneTakesEach", outboxOneTaker)
	run("WhatIsHeldComesBack", outboxHold)
	run("Postpone", outboxPostpone)
	run("Remove", outboxRemove)
	run("OnlyOfTheStoresAskedFor", outboxStores)
	run("OldestFirst", outboxOldestFirst)
	run("PayloadsAreBytes", outboxPayloads)
	run("StatementsFitIntoAnyLibrary", outboxStatements)
	run("Refused", outboxRefused)
	run("EndedContext", outboxEndedContext)
	run("CloseTwice", outboxClose)
	first := db.Open(t)
	defer first.Close()
	if _, ok := drivers.OutboxNotifierOf(first); ok {
		run("Notify", outboxNotifies)
	}
}

// outbox is an outbox in a test. Its methods fail the test instead of returning an error.
type outbox struct {
	drivers.Outbox
	t     *testing.T
	ctx   context.Context
	db    OutboxDatabase
	store string // of the test's entries; no other test uses it
}

func newOutbox(t *testing.T, db OutboxDatabase) outbox {
	return outbox{Outbox: db.Open(t), t: t, ctx: testContext(t), db: db, store: unique("outbox")}
}

// another returns what another process has.
func (o outbox) another() outbox {
	o.Outbox = o.db.Open(o.t)
	return o
}

// entry makes an entry of the test's store.
func (o outbox) entry(payload string) drivers.OutboxEntry {
	e := drivers.OutboxEntry{Store: o.store, Payload: []byte(payload)}
	rand.Read(e.ID[:])
	return e
}

// append writes entries in a transaction that it leaves open.
func (o outbox) append(wait time.Duration, entries ...drivers.OutboxEntry) OutboxTransaction {
	o.t.Helper()
	tx := o.db.Begin(o.t)
	must(o.t, "Append", o.Append(o.ctx, tx.Exec, entries, wait))
	return tx
}

// commit writes an entry with each payload.
func (o outbox) commit(payloads ...string) {
	o.t.Helper()
	for _, payload := range payloads {
		o.commitEntries(0, o.entry(payload))
	}
}

func (o outbox) commitEntries(wait time.Duration, entries ...drivers.OutboxEntry) {
	o.t.Helper()
	must(o.t, "commit", o.append(wait, entries...).Commit())
}

// take takes up to n entries and holds them for an hour.
func (o outbox) take(n int) []drivers.OutboxEntry {
	o.t.Helper()
	return o.takeFor(n, time.Hour)
}

func (o outbox) takeFor(n int, hold time.Duration) []drivers.OutboxEntry {
	o.t.Helper()
	taken, err := o.Take(o.ctx, drivers.OutboxRequest{Stores: []string{o.store}, Max: n, Hold: hold})
	must(o.t, "Take", err)
	if len(taken) > n {
		o.t.Errorf("took %d entries, asked for %d", len(taken), n)
	}
	for _, e := range taken {
		if e.Store != o.store || e.Attempts < 1 || e.Age < 0 || e.Age > 10*patience {
			o.t.Errorf("took an entry of store %q, attempt %d, after %v", e.Store, e.Attempts, e.Age)
		}
	}
	return taken
}

// expect takes everything and checks which payloads there are, in any order.
func (o outbox) expect(when string, want ...string) []drivers.OutboxEntry {
	o.t.Helper()
	taken := o.take(100)
	got := payloads(taken)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		o.t.Errorf("%s: took %q, want %q", when, got, want)
	}
	return taken
}

// await takes until there is an entry with the payload, and returns it.
func (o outbox) await(what, payload string) (found drivers.OutboxEntry) {
	o.t.Helper()
	eventually(o.t, what, func() bool {
		for _, e := range o.take(100) {
			if string(e.Payload) == payload {
				found = e
				return true
			}
			o.t.Errorf("took %q", e.Payload)
		}
		return false
	})
	return found
}

func payloads(entries []drivers.OutboxEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, string(e.Payload))
	}
	return all
}

func ids(entries ...drivers.OutboxEntry) []drivers.OutboxID {
	var all []drivers.OutboxID
	for _, e := range entries {
		all = append(all, e.ID)
	}
	return all
}

func outboxCommits(t *testing.T, o outbox) {
	other := o.another()
	other.expect("before anything") // the table may have to be made
	tx := o.append(0, o.entry("committed"), o.entry("as well"))
	other.expect("before the commit")
	must(t, "commit", tx.Commit())
	other.expect("after the commit", "as well", "committed")
	tx = o.append(0, o.entry("rolled back"))
	must(t, "rollback", tx.Rollback())
	other.expect("after a rollback")
	must(t, "Append of nothing", o.Append(o.ctx, nil, nil, 0))
}

// Whoever commits late has written early. A reader that remembers how far it has read passes
// such an entry over.
func outboxLateCommit(t *testing.T, o outbox) {
	if o.db.OneWriter {
		t.Skip("one transaction writes at a time")
	}
	late := o.append(0, o.entry("late"))
	o.commit("early")
	other := o.another()
	must(t, "Remove", other.Remove(o.ctx, ids(other.expect("while another transaction is open", "early")...)))
	o.commit("next")
	other.expect("again", "next")
	must(t, "commit", late.Commit())
	other.expect("after the late commit", "late")
}

// A transaction that stays open for long concerns its own entries alone.
func outboxOpenTransaction(t *testing.T, o outbox) {
	if o.db.OneWriter {
		t.Skip("one transaction writes at a time")
	}
	open := o.entry("open")
	tx := o.append(0, open)
	o.commit("a", "b")
	taken := o.expect("while a transaction is open", "a", "b")
	must(t, "Postpone", o.Postpone(o.ctx, ids(taken...), 0))
	o.expect("once more", "a", "b")
	must(t, "Remove", o.Remove(o.ctx, ids(taken...)))
	must(t, "rollback", tx.Rollback())
	o.expect("after all")
}

func outboxWait(t *testing.T, o outbox) {
	later := o.entry("later")
	o.commitEntries(time.Hour, later)
	o.commitEntries(200*time.Millisecond, o.entry("soon"))
	o.commitEntries(-time.Hour, o.entry("now"))
	if got := payloads(o.take(100)); !slices.Contains(got, "now") || slices.Contains(got, "later") {
		t.Errorf("took %q", got)
	} else if !slices.Contains(got, "soon") {
		if e := o.await("what has to wait comes later", "soon"); e.Age < 200*time.Millisecond {
			t.Errorf("taken %v after it was appended", e.Age)
		}
	}
	must(t, "Remove", o.Remove(o.ctx, ids(later)))
}

func outboxHold(t *testing.T, o outbox) {
	o.commit("a")
	first := o.takeFor(1, 300*time.Millisecond)
	if len(first) != 1 || first[0].Attempts != 1 {
		t.Fatalf("took %+v", first)
	}
	other := o.another()
	again := other.await("what was held comes back", "a")
	if again.Attempts != 2 || again.Age < 300*time.Millisecond || again.ID != first[0].ID {
		t.Errorf("taken again as attempt %d after %v", again.Attempts, again.Age)
	}
	o.expect("while another holds it")
}

func outboxPostpone(t *testing.T, o outbox) {
	o.commit("a", "b", "c")
	taken := o.expect("first", "a", "b", "c")
	slices.SortFunc(taken, func(a, b drivers.OutboxEntry) int { return strings.Compare(string(a.Payload), string(b.Payload)) })
	must(t, "Postpone", o.Postpone(o.ctx, ids(taken[0]), 0))
	must(t, "Postpone", o.Postpone(o.ctx, ids(taken[1]), time.Hour))
	other := o.another()
	if again := other.expect("after one was postponed", "a"); len(again) == 1 && again[0].Attempts != 2 {
		t.Errorf("taken again as attempt %d", again[0].Attempts)
	}
	must(t, "Remove", o.Remove(o.ctx, ids(taken[2])))
	must(t, "Postpone of what is gone", o.Postpone(o.ctx, ids(taken[2], o.entry("never")), 0))
	must(t, "Postpone of nothing", o.Postpone(o.ctx, nil, 0))
	other.expect("after what is gone was postponed")
	must(t, "Postpone", o.Postpone(o.ctx, ids(taken[0]), 200*time.Millisecond))
	other.await("what was postponed comes back", "a")
}

func outboxRemove(t *testing.T, o outbox) {
	var entries []drivers.OutboxEntry
	for i := range 500 { // more than a statement has
		entries = append(entries, o.entry(fmt.Sprint(i)))
	}
	o.commitEntries(0, entries...)
	must(t, "Remove", o.Remove(o.ctx, append(ids(entries[1:]...), o.entry("never").ID)))
	must(t, "second Remove", o.Remove(o.ctx, ids(entries[1:]...)))
	must(t, "Remove of nothing", o.Remove(o.ctx, nil))
	o.expect("after the others were removed", "0")
	// What is removed although nobody has taken it, as the process does that has committed.
	own := o.entry("own")
	o.commitEntries(time.Minute, own)
	must(t, "Remove", o.Remove(o.ctx, ids(own)))
	must(t, "Postpone", o.Postpone(o.ctx, ids(own), 0))
	o.expect("after it was removed")
}

func outboxStores(t *testing.T, o outbox) {
	base := o.store
	stores := []string{base + "a", base + "A", base + "a ", base + "\x00\xff'\"`\\", base + strings.Repeat("x", drivers.MaxOutboxStore-len(base))}
	for _, store := range stores {
		e := o.entry(store)
		e.Store = store
		o.commitEntries(0, e)
	}
	take := func(max int, of ...string) []string {
		taken, err := o.Take(o.ctx, drivers.OutboxRequest{Stores: of, Max: max, Hold: time.Hour})
		must(t, "Take", err)
		for _, e := range taken {
			if e.Store != string(e.Payload) {
				t.Errorf("an entry of %q is now of %q", e.Payload, e.Store)
			}
		}
		return payloads(taken)
	}
	if got := take(100); len(got) > 0 {
		t.Errorf("of no store: %q", got)
	}
	if got := take(100, base, stores[0][:len(stores[0])-2], base+"b"); len(got) > 0 {
		t.Errorf("of other stores: %q", got)
	}
	for _, store := range stores[:3] {
		if got := take(100, store); !slices.Equal(got, []string{store}) {
			t.Errorf("of %q: %q", store, got)
		}
	}
	if got := take(100, stores...); len(got) != 2 {
		t.Errorf("of all: %q", got)
	}
}

func outboxOldestFirst(t *testing.T, o outbox) {
	for i := range 6 {
		o.commit(fmt.Sprint(i))
		time.Sleep(3 * time.Millisecond) // the clocks of databases count milliseconds
	}
	var got []string
	for range 3 {
		got = append(got, payloads(o.take(2))...)
	}
	if want := []string{"0", "1", "2", "3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("took %v", got)
	}
}

func outboxPayloads(t *testing.T, o outbox) {
	var every []byte
	for b := range 256 {
		every = append(every, byte(b))
	}
	large := strings.Repeat("\xff", drivers.MaxOutboxPayload)
	want := []string{string(every), "", large}
	entries := []drivers.OutboxEntry{o.entry(want[0]), o.entry(want[1]), o.entry(want[2])}
	for i := range 60 { // together more than servers take in one statement
		want = append(want, large[:len(large)-2]+fmt.Sprintf("%02d", i))
		entries = append(entries, o.entry(want[len(want)-1]))
	}
	o.commitEntries(0, entries...)
	o.expect("what was written", want...)
}

// Libraries replace what looks like a parameter, each in its own way.
func outboxStatements(t *testing.T, o outbox) {
	e := o.entry("?:@$1%s")
	e.Store += "?@$1:name"
	n := 0
	err := o.Append(o.ctx, func(_ context.Context, statement string) error {
		n++
		if strings.ContainsFunc(statement, func(r rune) bool { return r > '~' || strings.ContainsRune("?@$", r) }) {
			t.Errorf("a statement is %.300q", statement)
		}
		return nil
	}, []drivers.OutboxEntry{e}, time.Second)
	if err != nil || n == 0 {
		t.Errorf("%d statements, %v", n, err)
	}
}

func outboxRefused(t *testing.T, o outbox) {
	good, long, nobody, stranger := o.entry("good"), o.entry(strings.Repeat("x", drivers.MaxOutboxPayload+1)), o.entry(""), o.entry("")
	nobody.Store, stranger.Store = "", strings.Repeat("x", drivers.MaxOutboxStore+1)
	for name, bad := range map[string]drivers.OutboxEntry{"payload": long, "no store": nobody, "store": stranger} {
		tx := o.db.Begin(t)
		mustFail(t, name, o.Append(o.ctx, tx.Exec, []drivers.OutboxEntry{good, bad}, 0), drivers.ErrRefused)
		must(t, "commit", tx.Commit())
	}
	o.expect("after what was refused")
	for name, r := range map[string]drivers.OutboxRequest{
		"none": {Max: 0, Hold: time.Minute}, "fewer": {Max: -1, Hold: time.Minute}, "no hold": {Max: 1}, "negative hold": {Max: 1, Hold: -1},
	} {
		r.Stores = []string{o.store}
		_, err := o.Take(o.ctx, r)
		mustFail(t, name, err, drivers.ErrRefused)
	}
	// What the transaction says is the caller's to judge.
	errTransaction := fmt.Errorf("the transaction has ended")
	err := o.Append(o.ctx, func(context.Context, string) error { return errTransaction }, []drivers.OutboxEntry{good}, 0)
	mustFail(t, "a failed transaction", err, errTransaction)
	o.mustName(err, "append")
}

// operations returns a call of every method.
func (o outbox) operations(tx OutboxTransaction) map[string]operation {
	one := o.entry("x")
	return map[string]operation{
		"Append": {verb: "append", run: func(ctx context.Context) error {
			return o.Append(ctx, tx.Exec, []drivers.OutboxEntry{o.entry("x")}, 0)
		}},
		"Take": {verb: "take", run: func(ctx context.Context) error {
			_, err := o.Take(ctx, drivers.OutboxRequest{Stores: []string{o.store}, Max: 1, Hold: time.Minute})
			return err
		}},
		"Postpone": {verb: "postpone", run: func(ctx context.Context) error { return o.Postpone(ctx, ids(one), 0) }},
		"Remove":   {verb: "remove", run: func(ctx context.Context) error { return o.Remove(ctx, ids(one)) }},
	}
}

// mustName checks that an error names the driver and then the operation.
func (o outbox) mustName(err error, verb string) {
	o.t.Helper()
	if err == nil {
		return
	}
	driver, rest, ok := strings.Cut(err.Error(), ": ")
	if !ok || driver == "" || strings.ContainsAny(driver, " ") || !strings.HasPrefix(rest, verb) {
		o.t.Errorf("error %q, want one that begins with the driver's name and %q", err, verb)
	}
}

func outboxEndedContext(t *testing.T, o outbox) {
	ctx, cancel := context.WithCancel(o.ctx)
	cancel()
	tx := o.db.Begin(t)
	for name, operation := range o.operations(tx) {
		err := operation.run(ctx)
		mustFail(t, name, err, context.Canceled)
		o.mustName(err, operation.verb)
	}
	must(t, "commit", tx.Commit())
	o.expect("after what was given up")
}

func outboxClose(t *testing.T, o outbox) {
	o.commit("a")
	must(t, "Close", o.Close())
	must(t, "second Close", o.Close())
	tx := o.db.Begin(t)
	for name, operation := range o.operations(tx) {
		err := operation.run(o.ctx)
		mustFail(t, name+" after Close", err, drivers.ErrClosed)
		o.mustName(err, operation.verb)
	}
	must(t, "rollback", tx.Rollback())
	if n, ok := drivers.OutboxNotifierOf(o.Outbox); ok {
		_, err := n.Notify(&listener{t: t})
		mustFail(t, "Notify after Close", err, drivers.ErrClosed)
	}
	o.another().expect("what is left", "a")
}
