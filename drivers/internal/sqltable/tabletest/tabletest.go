// Package tabletest tests what the drivers on sqltable promise beyond the contract of
// package drivers, against each kind of database.
package tabletest

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// A Store is what the drivers are.
type Store interface {
	drivers.L2
	drivers.Adder
	drivers.Swapper
	drivers.Leaser
	drivers.Scanner
	drivers.PrefixDeleter
	drivers.Pruner
	drivers.Checker
}

// A Backend is a kind of database with its driver.
type Backend struct {
	Name   string
	Quote  string
	New    func(db *sql.DB, options sqltable.Options) Store
	Schema func(table string) []string
	// Open returns another pool of connections to the same database.
	Open func(t *testing.T) *sql.DB
}

// Run runs all tests. Their tables have names that begin with "t_".
func Run(t *testing.T, b Backend) {
	for name, test := range map[string]func(*testing.T, Backend){
		"OptionsAreChecked":              optionsAreChecked,
		"ForeignTable":                   foreignTable,
		"SkipCreate":                     skipCreate,
		"TablesAreIsolated":              tablesAreIsolated,
		"ManyProcessesMakeTheTable":      manyProcesses,
		"ClosedDatabase":                 closedDatabase,
		"BatchesInOppositeOrder":         oppositeBatches,
		"KeysNamedTwice":                 keysNamedTwice,
		"LongKeysThatDifferLate":         longKeys,
		"NothingIsHeldDuringTheCallback": oneConnection,
		"BackgroundPruning":              backgroundPruning,
		"FailedPruningIsToldAndGoesOn":   failedPruning,
		"PruneLeavesLeases":              pruneLeavesLeases,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func (b Backend) open(t *testing.T, db *sql.DB, options sqltable.Options) Store {
	t.Helper()
	s := b.New(db, options)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func get(t *testing.T, s drivers.L2, key string) []byte {
	t.Helper()
	values, err := s.GetMany(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return values[0]
}

func set(t *testing.T, s drivers.L2, items ...drivers.Item) {
	t.Helper()
	if err := s.SetMany(t.Context(), items); err != nil {
		t.Fatal(err)
	}
}

// mustSay checks that an error names the store, the operation and the table, and has
// something to say about the reason.
func (b Backend) mustSay(t *testing.T, err error, operation, table string, reasons ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", operation)
		return
	}
	if want := fmt.Sprintf("%s: %s in table %q: ", b.Name, operation, table); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want it to begin with %q", err, want)
	}
	for _, reason := range reasons {
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("error %q does not say %q", err, reason)
		}
	}
}

func optionsAreChecked(t *testing.T, b Backend) {
	db := b.Open(t)
	bad := []Store{b.New(nil, sqltable.Options{}), b.New(db, sqltable.Options{PruneEvery: -1})}
	for _, table := range []string{"a b", `a"; DROP TABLE b; --`, "a`b", "main.cache", "1st", "ä"} {
		bad = append(bad, b.New(db, sqltable.Options{Table: table}))
	}
	for i, s := range bad {
		if s.Err() == nil {
			t.Errorf("options %d: accepted", i)
		}
		if _, err := s.GetMany(t.Context(), []string{"a"}); err == nil {
			t.Errorf("options %d: usable", i)
		}
		s.Close()
	}
	for _, table := range []string{"t_names", "_t_Names2", "order", "select"} {
		set(t, b.open(t, db, sqltable.Options{Table: table}), drivers.Item{Key: "a", Value: []byte(table)})
	}
}

func foreignTable(t *testing.T, b Backend) {
	db := b.Open(t)
	execute(t, db, "CREATE TABLE t_foreign (id INTEGER, value INTEGER)", "INSERT INTO t_foreign VALUES (1, 2)")
	s := b.open(t, db, sqltable.Options{Table: "t_foreign"})
	_, err := s.GetMany(t.Context(), []string{"a"})
	b.mustSay(t, err, "get 1 key", "t_foreign", "name")
	b.mustSay(t, s.SetMany(t.Context(), make([]drivers.Item, 2)), "set 2 keys", "t_foreign", "name")
	var value int
	if err := db.QueryRow("SELECT value FROM t_foreign").Scan(&value); err != nil || value != 2 {
		t.Errorf("the table has %d, %v", value, err)
	}
}

func skipCreate(t *testing.T, b Backend) {
	db := b.Open(t)
	s := b.open(t, db, sqltable.Options{Table: "t_skip", SkipCreate: true})
	_, err := s.GetMany(t.Context(), []string{"a"})
	b.mustSay(t, err, "get 1 key", "t_skip")
	execute(t, db, b.Schema("t_skip")...)
	execute(t, db, b.Schema("t_skip")...) // harmless again
	set(t, s, drivers.Item{Key: "a", Value: []byte("x")})
	if got := get(t, s, "a"); string(got) != "x" {
		t.Errorf("got %q", got)
	}
}

func tablesAreIsolated(t *testing.T, b Backend) {
	db := b.Open(t)
	one, two := b.open(t, db, sqltable.Options{Table: "t_one"}), b.open(t, db, sqltable.Options{Table: "t_two"})
	set(t, one, drivers.Item{Key: "a", Value: []byte("x")})
	if got := get(t, two, "a"); got != nil {
		t.Errorf("another table has %q", got)
	}
	if _, err := two.DeletePrefix(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if got := get(t, one, "a"); string(got) != "x" {
		t.Errorf("after another table was emptied: %q", got)
	}
}

// manyProcesses, each with its own pool, start on a database that has no table.
func manyProcesses(t *testing.T, b Backend) {
	const processes, rounds = 6, 20
	var wg sync.WaitGroup
	start := make(chan struct{})
	for p := range processes {
		s := b.open(t, b.Open(t), sqltable.Options{Table: "t_many", BusyTimeout: time.Minute})
		wg.Go(func() {
			<-start
			for i := range rounds {
				key := fmt.Sprint(p, "/", i)
				if err := s.SetMany(t.Context(), []drivers.Item{{Key: key, Value: []byte(key)}}); err != nil {
					t.Error(err)
					return
				}
				got, err := s.GetMany(t.Context(), []string{key})
				if err != nil || string(got[0]) != key {
					t.Errorf("%q: %q, %v", key, got, err)
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

func closedDatabase(t *testing.T, b Backend) {
	for _, used := range []bool{false, true} {
		db := b.Open(t)
		s := b.open(t, db, sqltable.Options{Table: "t_closed"})
		if used {
			set(t, s, drivers.Item{Key: "a"})
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := s.GetMany(t.Context(), []string{"a", "b"})
		b.mustSay(t, err, "get 2 keys", "t_closed", "closed")
		b.mustSay(t, s.SetMany(t.Context(), []drivers.Item{{Key: "a"}}), "set 1 key", "t_closed", "closed")
		_, err = s.Prune(t.Context())
		b.mustSay(t, err, "prune", "t_closed", "closed")
	}
}

// oppositeBatches lock rows in opposite orders: a deadlock, to a database that locks
// rows, which the loser must get over.
func oppositeBatches(t *testing.T, b Backend) {
	const workers, rounds, keys = 4, 15, 40
	var wg sync.WaitGroup
	for w := range workers {
		s := b.open(t, b.Open(t), sqltable.Options{Table: "t_opposite", BusyTimeout: time.Minute})
		wg.Go(func() {
			var items []drivers.Item
			var names []string
			for k := range keys {
				if w%2 == 1 {
					k = keys - 1 - k
				}
				items = append(items, drivers.Item{Key: fmt.Sprint(k), Value: fmt.Append(nil, w)})
				names = append(names, fmt.Sprint(k))
			}
			token := fmt.Sprint("t", w)
			for range rounds {
				_, err1 := s.LeaseMany(t.Context(), names, token, time.Hour)
				_, err2 := s.FillMany(t.Context(), items, token)
				_, err3 := s.AddMany(t.Context(), items)
				err4 := s.SetMany(t.Context(), items)
				err5 := s.DeleteMany(t.Context(), names)
				for _, err := range []error{err1, err2, err3, err4, err5} {
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func keysNamedTwice(t *testing.T, b Backend) {
	s := b.open(t, b.Open(t), sqltable.Options{Table: "t_twice"})
	ctx := t.Context()
	items := []drivers.Item{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("3")}}
	set(t, s, items...)
	if got := get(t, s, "a"); string(got) != "3" {
		t.Errorf("after a batch with two values: %q, want the later", got)
	}
	if err := s.DeleteMany(ctx, []string{"a", "b", "a"}); err != nil {
		t.Error(err)
	}
	added, err := s.AddMany(ctx, items)
	if err != nil || string(added[0]) != "1" || string(added[2]) != "1" {
		t.Errorf("added %q, %v, want the first value twice", added, err)
	}
	leased, err := s.LeaseMany(ctx, []string{"a", "a"}, "t", time.Hour)
	if err != nil || !leased[0] || leased[1] {
		t.Errorf("leased %v, %v", leased, err)
	}
	filled, err := s.FillMany(ctx, items, "t")
	if err != nil || !filled[0] || filled[1] || filled[2] {
		t.Errorf("filled %v, %v", filled, err)
	}
	swapped, err := s.SwapMany(ctx, []drivers.Swap{
		{Key: "a", Old: []byte("1"), New: []byte("2")}, {Key: "a", Old: []byte("2")}, {Key: "a", New: []byte("4")},
		{Key: "a", Old: []byte("2"), New: []byte("5")},
	})
	if err != nil || !swapped[0] || !swapped[1] || !swapped[2] || swapped[3] {
		t.Errorf("swapped %v, %v", swapped, err)
	}
	if got := get(t, s, "a"); string(got) != "4" {
		t.Errorf("after swaps in a row: %q", got)
	}
}

// longKeys are as one to an index that takes only their beginning.
func longKeys(t *testing.T, b Backend) {
	s := b.open(t, b.Open(t), sqltable.Options{Table: "t_long"})
	long := strings.Repeat("k", 64<<10)
	keys := []string{long[:511], long[:512], long[:513], long[:544], long, long[1:], long[1:] + "x", long[:600] + "\xff", long[:600] + "\xff\xff"}
	for i, key := range keys {
		set(t, s, drivers.Item{Key: key, Value: fmt.Append(nil, i)})
	}
	for i, key := range keys {
		if got := get(t, s, key); string(got) != fmt.Sprint(i) {
			t.Errorf("key of %d bytes: %q, want %d", len(key), got, i)
		}
	}
	for prefix, want := range map[string]int{long[:511]: 9, long[:512]: 8, long[:513]: 7, long[:600] + "\xff": 2, long: 1} {
		var found []string
		if err := s.Scan(t.Context(), prefix, func(keys []string) error { found = append(found, keys...); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(found) != want {
			t.Errorf("%d keys begin with a prefix of %d bytes, want %d", len(found), len(prefix), want)
		}
	}
	if n, err := s.DeletePrefix(t.Context(), long[:600]+"\xff"); err != nil || n != 2 {
		t.Errorf("removed %d, %v", n, err)
	}
	if n, err := s.DeletePrefix(t.Context(), long[:512]); err != nil || n != 6 {
		t.Errorf("removed %d, %v", n, err)
	}
}

// oneConnection: if anything were held while the callback runs, it would wait for ever.
func oneConnection(t *testing.T, b Backend) {
	db := b.Open(t)
	db.SetMaxOpenConns(1)
	s := b.open(t, db, sqltable.Options{Table: "t_callback"})
	var items []drivers.Item
	for i := range 1500 {
		items = append(items, drivers.Item{Key: fmt.Sprint("a", i)})
	}
	set(t, s, items...)
	err := s.Scan(t.Context(), "a", func(keys []string) error { return s.DeleteMany(t.Context(), keys) })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeletePrefix(t.Context(), "a"); err != nil || n != 0 {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

func backgroundPruning(t *testing.T, b Backend) {
	db := b.Open(t)
	pruned := make(chan error, 1)
	var removed atomic.Int64
	s := b.open(t, db, sqltable.Options{Table: "t_background", PruneEvery: time.Millisecond, OnPrune: func(n int64, err error) {
		if removed.Add(n) >= 2 || err != nil {
			select {
			case pruned <- err:
			default:
			}
		}
	}})
	set(t, s, drivers.Item{Key: "a", TTL: 1}, drivers.Item{Key: "b", TTL: 1}, drivers.Item{Key: "c", TTL: time.Hour})
	if err := <-pruned; err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := db.QueryRow("SELECT count(*) FROM t_background").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
	// Close waits for the end of it; that nothing leaks is checked after all tests.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func failedPruning(t *testing.T, b Backend) {
	db := b.Open(t)
	failed := make(chan error)
	done := make(chan struct{})
	s := b.open(t, db, sqltable.Options{Table: "t_failing", SkipCreate: true, PruneEvery: time.Millisecond, OnPrune: func(_ int64, err error) {
		select {
		case failed <- err:
		case <-done:
		}
	}})
	b.mustSay(t, <-failed, "prune", "t_failing")
	b.mustSay(t, <-failed, "prune", "t_failing") // it goes on
	execute(t, db, b.Schema("t_failing")...)
	for err := range failed {
		if err == nil {
			break
		}
	}
	close(done)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// pruneLeavesLeases: a row stays while either of its value and its lease lasts.
func pruneLeavesLeases(t *testing.T, b Backend) {
	db := b.Open(t)
	s := b.open(t, db, sqltable.Options{Table: "t_leases"})
	ctx := t.Context()
	set(t, s, drivers.Item{Key: "ended", TTL: 1})
	for token, ttl := range map[string]time.Duration{"short": 1, "long": time.Hour} {
		if got, err := s.LeaseMany(ctx, []string{token, token + " too"}, token, ttl); err != nil || !got[0] || !got[1] {
			t.Fatal(got, err)
		}
	}
	if got, err := s.LeaseMany(ctx, []string{"ended"}, "long", time.Hour); err != nil || !got[0] {
		t.Fatal(got, err)
	}
	// Until the two short leases are over.
	for rows := 0; rows != 3; {
		if n, err := s.Prune(ctx); err != nil || n != 0 {
			t.Fatalf("pruned %d, %v: rows without a value, or lent", n, err)
		}
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM t_leases").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows < 3 {
			t.Fatalf("%d rows are left", rows)
		}
	}
	filled, err := s.FillMany(ctx, []drivers.Item{{Key: "ended"}, {Key: "long"}, {Key: "long too"}}, "long")
	if err != nil || !filled[0] || !filled[1] || !filled[2] {
		t.Errorf("filled %v, %v", filled, err)
	}
}
