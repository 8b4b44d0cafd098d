// Package fakesql is a database of one table, accounts (id, balance), behind database/sql: small, in
// memory, and with transactions that others do not see before they are committed. It knows the
// statements of package accounts, and no other.
package fakesql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

// The statements, which are those of any SQL database.
const (
	Select    = "SELECT balance FROM accounts WHERE id = ?"
	SelectAll = "SELECT id, balance FROM accounts ORDER BY id"
	Replace   = "REPLACE INTO accounts (id, balance) VALUES (?, ?)"
)

// A Database is the table. Its methods may be called by several goroutines.
type Database struct {
	mu   sync.Mutex // guards rows
	rows map[int64]int64
}

// Open returns a pool of connections to a database with these rows, which the caller closes.
func Open(rows map[int64]int64) *sql.DB {
	return sql.OpenDB(&Database{rows: maps.Clone(rows)})
}

// Connect returns a connection.
func (d *Database) Connect(context.Context) (driver.Conn, error) { return &conn{d: d}, nil }

// Driver returns nil: the database is opened by [Open] alone.
func (d *Database) Driver() driver.Driver { return nil }

// A conn is used by one goroutine at a time.
type conn struct {
	d       *Database
	written map[int64]int64 // in a transaction; nil outside of one
}

func (c *conn) Prepare(query string) (driver.Stmt, error) { return &stmt{c, query}, nil }
func (c *conn) Close() error                              { return nil }

func (c *conn) Begin() (driver.Tx, error) {
	c.written = map[int64]int64{}
	return c, nil
}

func (c *conn) Commit() error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	maps.Copy(c.d.rows, c.written)
	c.written = nil
	return nil
}

func (c *conn) Rollback() error {
	c.written = nil
	return nil
}

// seen returns the rows that the connection sees.
func (c *conn) seen() map[int64]int64 {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	rows := maps.Clone(c.d.rows)
	maps.Copy(rows, c.written)
	return rows
}

type stmt struct {
	*conn
	query string
}

func (s *stmt) Close() error  { return nil }
func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	if s.query != Replace {
		return nil, fmt.Errorf("fakesql: there is no statement %q", s.query)
	}
	id, balance := args[0].(int64), args[1].(int64)
	if s.written != nil {
		s.written[id] = balance
		return driver.RowsAffected(1), nil
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.rows[id] = balance
	return driver.RowsAffected(1), nil
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	all := s.seen()
	switch s.query {
	case Select:
		r := &rows{columns: []string{"balance"}}
		if balance, ok := all[args[0].(int64)]; ok {
			r.rows = [][]driver.Value{{balance}}
		}
		return r, nil
	case SelectAll:
		r := &rows{columns: []string{"id", "balance"}}
		for _, id := range slices.Sorted(maps.Keys(all)) {
			r.rows = append(r.rows, []driver.Value{id, all[id]})
		}
		return r, nil
	}
	return nil, fmt.Errorf("fakesql: there is no query %q", s.query)
}

type rows struct {
	columns []string
	rows    [][]driver.Value
}

func (r *rows) Columns() []string { return r.columns }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(into []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(into, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
