package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
)

// DefaultOutboxTable is the default of [OutboxOptions].Table.
const DefaultOutboxTable = "cachegen_outbox"

// OutboxOptions are the options of [NewOutbox]. The zero value is right for most programs.
type OutboxOptions struct {
	// Table is the name of the table; [DefaultOutboxTable] if empty. The name has letters, digits
	// and underscores, and does not begin with a digit or with sqlite_.
	Table string
	// SkipCreate says that the program creates the table and its index itself, with the
	// statements of [OutboxSchema], before the first transaction. Otherwise the first operation
	// creates what is missing.
	SkipCreate bool
	// BusyTimeout is for how long an operation is repeated while other connections keep the
	// database busy; [DefaultBusyTimeout] if zero. It is no longer repeated when its context has
	// ended. What is written in a transaction of the program is not repeated.
	BusyTimeout time.Duration
}

// An Outbox is a [drivers.Outbox] in a table of a database. Its methods may be called by many
// goroutines at once, and the table may be used by many processes.
type Outbox struct{ table *sqloutbox.Outbox }

var (
	_ drivers.Outbox  = (*Outbox)(nil)
	_ drivers.Checker = (*Outbox)(nil)
)

// NewOutbox returns an outbox in a table of db, which is the database whose transactions are to
// write into it. NewOutbox does not access the database. db stays open when the outbox is closed;
// close db after the outbox.
//
// SQLite has one writer at a time. While a transaction of the program writes, nobody carries out
// what others have left.
//
// If db is nil, or an option is wrong, the outbox cannot be used: every operation fails,
// [Outbox.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as their
// error.
func NewOutbox(db *sql.DB, options OutboxOptions) *Outbox {
	return &Outbox{sqloutbox.New(db, &outboxDialect, sqloutbox.Options{
		Table:       cmp.Or(options.Table, DefaultOutboxTable),
		SkipCreate:  options.SkipCreate,
		BusyTimeout: cmp.Or(options.BusyTimeout, DefaultBusyTimeout),
	})}
}

// OutboxSchema returns the statements that create the table of an outbox and its index, for
// programs that keep their schema in migrations and set [OutboxOptions].SkipCreate. table is the
// name of the table; [DefaultOutboxTable] if empty.
//
// Times in the table are milliseconds since 1970, by the clock of the database.
func OutboxSchema(table string) []string {
	return outboxSchema(cmp.Or(table, DefaultOutboxTable))
}

// Append writes entries with exec in the transaction of the caller. See [drivers.Outbox].
func (o *Outbox) Append(ctx context.Context, exec drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	return o.table.Append(ctx, exec, entries, wait)
}

// Take returns committed entries that nobody holds, and holds them. See [drivers.Outbox].
func (o *Outbox) Take(ctx context.Context, request drivers.OutboxRequest) ([]drivers.OutboxEntry, error) {
	return o.table.Take(ctx, request)
}

// Postpone gives entries back that could not be carried out. See [drivers.Outbox].
func (o *Outbox) Postpone(ctx context.Context, ids []drivers.OutboxID, wait time.Duration) error {
	return o.table.Postpone(ctx, ids, wait)
}

// Remove removes entries. See [drivers.Outbox].
func (o *Outbox) Remove(ctx context.Context, ids []drivers.OutboxID) error {
	return o.table.Remove(ctx, ids)
}

// Err returns why the outbox cannot be used, or nil. See [drivers.Checker].
func (o *Outbox) Err() error {
	if o.table == nil {
		return errors.New("sqlite: zero Outbox: make it with sqlite.NewOutbox")
	}
	return o.table.Err()
}

// Close makes every later call fail. Calling Close twice is safe. See [drivers.Outbox].
func (o *Outbox) Close() error { return o.table.Close() }

var outboxDialect = sqloutbox.Dialect{
	Dialect: &dialect,
	Schema:  outboxSchema,
	Inside:  outboxSchema,
	Hex:     [2]string{"x'", "'"},
}

func outboxSchema(table string) []string {
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	store BLOB NOT NULL,
	payload BLOB NOT NULL,
	due INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	created INTEGER NOT NULL
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_due" ON "%[1]s" (store, due)`, table),
	}
}
