package tabletest

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// Faults of a database: the error has to name the store, the operation, the table and the
// reason of the database, and the stored values have to stay.

// everyWrite returns the error of each operation that writes key a, by the operation's name.
func everyWrite(t *testing.T, s Store) map[string]error {
	t.Helper()
	ctx := t.Context()
	item := []drivers.Item{{Key: "a", Value: []byte("new")}}
	_, add := s.AddMany(ctx, []drivers.Item{{Key: "b"}})
	_, swap := s.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: []byte("new")}})
	_, lease := s.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	_, renew := s.RenewMany(ctx, []string{"a"}, "t", time.Hour)
	_, release := s.ReleaseMany(ctx, []string{"a"}, "t")
	_, fill := s.FillMany(ctx, item, "t")
	_, prefix := s.DeletePrefix(ctx, "a")
	return map[string]error{
		"set 1 key": s.SetMany(ctx, item), "delete 1 key": s.DeleteMany(ctx, []string{"a"}),
		"add 1 key": add, "swap 1 key": swap, "lease 1 key": lease, "fill 1 key": fill,
		"renew 1 key": renew, "release 1 key": release, "delete by prefix": prefix,
	}
}

func (b Backend) mustBlameNobody(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, drivers.ErrRefused) {
		t.Errorf("the caller is told that it is to blame: %v", err)
	}
}

// mustBeAnAnswer: a database that refuses a statement is there, and its other statements
// must not be held back.
func (b Backend) mustBeAnAnswer(t *testing.T, err error) {
	t.Helper()
	b.mustBlameNobody(t, err)
	if !errors.Is(err, drivers.ErrAnswered) {
		t.Errorf("taken for an outage: %v", err)
	}
}

func readOnly(t *testing.T, b Backend) {
	writer := b.open(t, b.Open(t), sqltable.Options{Table: "t_readonly"})
	set(t, writer, drivers.Item{Key: "a", Value: []byte("old")})
	for name, r := range b.ReadOnly {
		t.Run(name, func(t *testing.T) {
			db := r.Open(t)
			s := b.open(t, db, sqltable.Options{Table: "t_readonly"})
			if got := get(t, s, "a"); string(got) != "old" {
				t.Errorf("reading: %q", got)
			}
			for operation, err := range everyWrite(t, s) {
				b.mustSay(t, err, operation, "t_readonly", r.Reason)
				b.mustBeAnAnswer(t, err)
			}
			if got := get(t, s, "a"); string(got) != "old" {
				t.Errorf("after it: %q", got)
			}
			_, err := b.open(t, db, sqltable.Options{Table: "t_nowhere"}).GetMany(t.Context(), []string{"a"})
			b.mustSay(t, err, "get 1 key", "t_nowhere", "create the table ", r.Reason)
		})
	}
}

func wrongCredentials(t *testing.T, b Backend) {
	s := b.open(t, b.Users.Wrong.Open(t), sqltable.Options{Table: "t_secret"})
	_, get := s.GetMany(t.Context(), []string{"a"})
	set := s.SetMany(t.Context(), make([]drivers.Item, 2))
	for operation, err := range map[string]error{"get 1 key": get, "set 2 keys": set} {
		b.mustSay(t, err, operation, "t_secret", b.Users.Wrong.Reason)
		b.mustBeAnAnswer(t, err)
		if err != nil && strings.Contains(err.Error(), WrongPassword) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

// limitedRights: an existing table needs no right to create tables.
func limitedRights(t *testing.T, b Backend) {
	if err := b.open(t, b.Open(t), sqltable.Options{Table: "t_granted"}).DeleteMany(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	db := b.Users.Of(t, "t_granted")
	s := b.open(t, db, sqltable.Options{Table: "t_granted"})
	set(t, s, drivers.Item{Key: "a", Value: []byte("x")})
	if got := get(t, s, "a"); string(got) != "x" {
		t.Errorf("got %q", got)
	}
	err := b.open(t, db, sqltable.Options{Table: "t_denied"}).SetMany(t.Context(), []drivers.Item{{Key: "a"}})
	b.mustSay(t, err, "set 1 key", "t_denied", "create the table ", "denied")
}

func fullDisk(t *testing.T, b Backend) {
	s := b.open(t, b.Full.Open(t), sqltable.Options{Table: "t_full"})
	set(t, s, drivers.Item{Key: "a", Value: []byte("old")}, drivers.Item{Key: "b", Value: []byte("old")})
	large := make([]byte, b.Full.Size)
	rand.Read(large) // random, because a database that compresses could store other values
	ctx := t.Context()
	_, added := s.AddMany(ctx, []drivers.Item{{Key: "d", Value: large}})
	_, swapped := s.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: large}})
	for operation, err := range map[string]error{
		"set 3 keys": s.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("new")}, {Key: "b", Value: large}, {Key: "c", Value: []byte("new")}}),
		"add 1 key":  added,
		"swap 1 key": swapped,
	} {
		b.mustSay(t, err, operation, "t_full", b.Full.Reason)
		b.mustBlameNobody(t, err)
		if b.Full.Mend == nil { // or the server has ended
			b.mustBeAnAnswer(t, err)
		}
	}
	if b.Full.Mend != nil {
		b.Full.Mend(t)
	}
	// A part of a batch may be stored, but no key has half a value.
	for key, want := range map[string][]string{"a": {"old", "new"}, "b": {"old"}, "c": {"", "new"}, "d": {""}} {
		if got := get(t, s, key); !slices.Contains(want, string(got)) {
			t.Errorf("after it %s has %.20q, want one of %q", key, got, want)
		}
	}
	set(t, s, drivers.Item{Key: "a", Value: []byte("new")})
	if got := get(t, s, "a"); string(got) != "new" {
		t.Errorf("what fits is not stored any more: %.20q", got)
	}
}

// otherColumns: a table with that name has an older or a slightly different schema.
func otherColumns(t *testing.T, b Backend) {
	db := b.Open(t)
	alter := map[string]string{"lease": "ALTER TABLE t_other DROP COLUMN lease", "value": "ALTER TABLE t_other DROP COLUMN value"}
	for reason, statement := range b.Spoil {
		alter[reason] = statement
	}
	for reason, statement := range alter {
		for _, skip := range []bool{false, true} {
			basetest.Execute(t, db, "DROP TABLE IF EXISTS t_other")
			basetest.Execute(t, db, b.Schema("t_other")...)
			basetest.Execute(t, db, statement)
			s := b.open(t, b.Open(t), sqltable.Options{Table: "t_other", SkipCreate: skip})
			err := s.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("x")}})
			b.mustSay(t, err, "set 1 key", "t_other", reason)
			b.mustBeAnAnswer(t, err)
			var rows int
			if err := db.QueryRow("SELECT count(*) FROM t_other").Scan(&rows); err != nil || rows != 0 {
				t.Errorf("%s: %d rows, %v", statement, rows, err)
			}
		}
	}
}
