// Package sent opens databases that remember which statements were sent to them, for
// tests that ask the database how it would run those.
package sent

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Statements are the texts of what was sent to a database. It is safe for concurrent
// use.
type Statements struct {
	mu    sync.Mutex
	texts []string
}

// Open opens a database of the driver of that name until the end of the test.
func Open(t testing.TB, driverName, address string) (*sql.DB, *Statements) {
	t.Helper()
	named, err := sql.Open(driverName, address) // connects to nothing yet
	if err != nil {
		t.Fatal(err)
	}
	c := &connector{driver: named.Driver(), address: address}
	if err := named.Close(); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	t.Cleanup(func() { db.Close() })
	return db, &c.statements
}

// With returns the one statement with all of parts in its text, and fails the test if
// there is not exactly one.
func (s *Statements) With(t testing.TB, parts ...string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, text := range s.texts {
		has := func(part string) bool { return strings.Contains(text, part) }
		if !slices.ContainsFunc(parts, func(part string) bool { return !has(part) }) && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d statements with %q, of\n%s", len(found), parts, strings.Join(s.texts, "\n"))
	}
	return found[0]
}

type connector struct {
	driver     driver.Driver
	address    string
	statements Statements
}

func (c *connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.address)
	if err != nil {
		return nil, err
	}
	return recording{conn, &c.statements}, nil
}

func (c *connector) Driver() driver.Driver { return c.driver }

// recording has nothing but what a connection must have, and what transactions need. So
// database/sql prepares every statement, and Prepare sees them all.
type recording struct {
	driver.Conn
	statements *Statements
}

func (r recording) Prepare(text string) (driver.Stmt, error) {
	r.statements.mu.Lock()
	r.statements.texts = append(r.statements.texts, text)
	r.statements.mu.Unlock()
	return r.Conn.Prepare(text)
}

// BeginTx implements driver.ConnBeginTx: a connection without it has no isolation levels.
func (r recording) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	return r.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
}
