// Package tabletest tests what the drivers on sqltable promise in addition to the contract of
// package drivers. The tests of each SQL driver call [Run] with their kind of database.
package tabletest

import (
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// A Store is a driver under test.
type Store = sqltable.Store

// A Backend is a kind of database with its driver.
type Backend struct {
	Name   string
	New    func(db *sql.DB, options sqltable.Options) Store
	Schema func(table string) []string
	// Open returns another pool of connections to the same database.
	Open func(t *testing.T) *sql.DB
	// ReadOnly are connections that refuse writes, by name.
	ReadOnly map[string]Trouble
	// Users is nil if the database has no users.
	Users *Users
	Full  Full
	// Spoil are statements that make a column of the table t_other unfit for its values.
	// The key of each is a text that the error then has.
	Spoil map[string]string
}

// Users are connections of users with few rights.
type Users struct {
	// Wrong connects with the password [WrongPassword].
	Wrong Trouble
	// Of returns connections of a user who may read and change one table, but not create
	// tables.
	Of func(t *testing.T, table string) *sql.DB
}

// WrongPassword is the password of no user.
const WrongPassword = "guessed"

// A Trouble is a connection with a fault, and the reason that the database gives.
type Trouble struct {
	Open   func(t *testing.T) *sql.DB
	Reason string
}

// A Full is a database whose disk has no space for a value of Size bytes. Mend, if not nil,
// restarts a server that has ended because of the full disk.
type Full struct {
	Trouble
	Size int
	Mend func(t *testing.T)
}

// Run runs all tests. Their tables have names that begin with "t_".
func Run(t *testing.T, b Backend) {
	tests := map[string]func(*testing.T, Backend){
		"OptionsAreChecked":                optionsAreChecked,
		"ForeignTable":                     foreignTable,
		"OtherColumns":                     otherColumns,
		"ReadOnly":                         readOnly,
		"FullDisk":                         fullDisk,
		"SkipCreate":                       skipCreate,
		"TablesAreIsolated":                tablesAreIsolated,
		"ManyProcessesMakeTheTable":        manyProcesses,
		"ClosedDatabase":                   closedDatabase,
		"BatchesInOppositeOrder":           oppositeBatches,
		"KeysNamedTwice":                   keysNamedTwice,
		"LongKeysThatDifferLate":           longKeys,
		"NothingIsHeldDuringTheCallback":   oneConnection,
		"OneConnectionIsEnough":            fewConnections,
		"ManyUseItFirst":                   firstUse,
		"BackgroundPruning":                backgroundPruning,
		"FailedPruningIsToldAndGoesOn":     failedPruning,
		"PruneLeavesLeases":                pruneLeavesLeases,
		"LeasesOfRowsWithAndWithoutAValue": leasesOfRows,
		"AReleaseLeavesNoBareRow":          releaseLeavesNoRow,
		"EveryAnswerGivesItsReason":        answersWhileChanged,
	}
	if b.Users != nil {
		tests["WrongCredentials"], tests["LimitedRights"] = wrongCredentials, limitedRights
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func (b Backend) open(t *testing.T, db *sql.DB, options sqltable.Options) Store {
	t.Helper()
	return basetest.Usable(t, b.New(db, options))
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

// mustSay checks that an error names the driver, the operation and the table, and contains each of
// reasons.
func (b Backend) mustSay(t *testing.T, err error, operation, table string, reasons ...string) {
	t.Helper()
	basetest.MustSay(t, err, b.Name, operation, table, reasons...)
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
	basetest.Execute(t, db, "CREATE TABLE t_foreign (id INTEGER, value INTEGER)", "INSERT INTO t_foreign VALUES (1, 2)")
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
	basetest.Execute(t, db, b.Schema("t_skip")...)
	basetest.Execute(t, db, b.Schema("t_skip")...) // harmless when repeated
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

// manyProcesses: several processes, each with its own pool, start on a database without the
// table.
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
