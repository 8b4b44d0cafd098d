package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqloutbox"
)

// DefaultOutboxTable is the default of [OutboxOptions].Table.
const DefaultOutboxTable = "cachegen_outbox"

// OutboxOptions are the options of [NewOutbox]. The zero value is right for most programs.
type OutboxOptions struct {
	// Table is the name of the table; [DefaultOutboxTable] if empty. The name has letters, digits
	// and underscores, and does not begin with a digit. It has at most 55 bytes.
	Table string
	// SkipCreate says that the program creates the table and its index itself, with the
	// statements of [OutboxSchema], before the first transaction. Otherwise the first operation
	// creates what is missing.
	SkipCreate bool
	// BusyTimeout is for how long an operation that ends in a deadlock is repeated;
	// [DefaultBusyTimeout] if zero. It is no longer repeated when its context has ended. What is
	// written in a transaction of the program is not repeated.
	BusyTimeout time.Duration
	// Notify says that a transaction which writes into the outbox also notifies the processes
	// whose outbox listens, as one of package pgxbus does. PostgreSQL commits transactions that
	// notify one after the other: set Notify if the program commits less than some hundreds of
	// transactions with invalidations in a second.
	Notify bool
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
// Processes look for entries that others have left from time to time. To be told of them, use
// the outbox of package pgxbus.
//
// If db is nil, or an option is wrong, the outbox cannot be used: every operation fails,
// [Outbox.Err] returns the reason, and runtime.OpenStore and runtime.NewStore return it as their
// error.
func NewOutbox(db *sql.DB, options OutboxOptions) *Outbox {
	return &Outbox{sqloutbox.New(db, &outboxDialect, sqloutbox.Options{
		Table:       cmp.Or(options.Table, DefaultOutboxTable),
		SkipCreate:  options.SkipCreate,
		BusyTimeout: cmp.Or(options.BusyTimeout, DefaultBusyTimeout),
		Notify:      options.Notify,
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
		return errors.New("postgres: zero Outbox: make it with postgres.NewOutbox")
	}
	return o.table.Err()
}

// Close makes every later call fail. Calling Close twice is safe. See [drivers.Outbox].
func (o *Outbox) Close() error { return o.table.Close() }

var outboxDialect = sqloutbox.Dialect{
	Dialect: &dialect,
	Schema:  outboxSchema,
	Inside:  outboxInside,
	Hex:     [2]string{"decode('", "', 'hex')"},
	// A transaction that is serializable, as the caller's may be, is not watched for conflicts
	// with one that is not.
	Isolation:  sql.LevelReadCommitted,
	SkipLocked: " FOR UPDATE SKIP LOCKED",
	Tell: func(table string) string {
		return fmt.Sprintf(" RETURNING pg_notify('%s', '%s')", sqloutbox.Channel(table), sqloutbox.Empty)
	},
}

func outboxSchema(table string) []string {
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	id bytea NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	store bytea NOT NULL,
	payload bytea NOT NULL,
	due bigint NOT NULL,
	attempts bigint NOT NULL,
	created bigint NOT NULL
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_due" ON "%[1]s" (store, due)`, table),
	}
}

// outboxInside asks first: to create a table that exists needs the right to create it, and a
// statement that fails ends the transaction. The lock is that of [sqlbase.Dialect].CreateLock.
func outboxInside(table string) []string {
	lock := strings.Replace(dialect.CreateLock, "SELECT", "PERFORM", 1)
	return []string{fmt.Sprintf(`DO 'BEGIN
	IF to_regclass(''"%s"'') IS NULL THEN
		%s;
	END IF;
END'`, table, strings.Join(append([]string{lock}, outboxSchema(table)...), ";\n"))}
}
