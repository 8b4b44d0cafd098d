package transaction

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"github.com/cachegen/cachegen/runtime/internal/collect"
)

// errNoExec says that nothing can be written into an outbox in a transaction.
var errNoExec = errors.New("no method that executes a statement is known of this transaction")

// A standard executes statements as database/sql does. So do the transactions of sqlx and Bun, and
// those of ent that are generated with its feature sql/execquery.
type standard interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
}

// execSQL returns what executes statements in tx.
func execSQL[T any](tx T) collect.Exec {
	switch x := any(tx).(type) {
	case standard:
		return execStandard(x)
	case interface { // what ent is built on
		Exec(ctx context.Context, statement string, args, result any) error
	}:
		return func(ctx context.Context, statement string) error { return x.Exec(ctx, statement, []any{}, nil) }
	}
	return cannotExec(tx)
}

func execStandard(x standard) collect.Exec {
	return func(ctx context.Context, statement string) error {
		_, err := x.ExecContext(ctx, statement)
		return err
	}
}

// cannotExec fails when there is something to write.
func cannotExec(tx any) collect.Exec {
	return func(context.Context, string) error { return fmt.Errorf("%w: %T has no ExecContext", errNoExec, tx) }
}

// execGORM executes statements in the transaction that is in tx, past the hooks and the log of GORM,
// and past the statements that it prepares if it is told to: it would keep each for the next time,
// and none of these comes again. tx is a *gorm.DB, whose field Statement has a field ConnPool.
func execGORM[D any](tx D) collect.Exec {
	pool := field(field(reflect.ValueOf(tx), "Statement"), "ConnPool")
	if inner, ok := valueOf(field(pool, "Tx")).(standard); ok { // of a *gorm.PreparedStmtTX
		return execStandard(inner)
	}
	if x, ok := valueOf(pool).(standard); ok {
		return execStandard(x)
	}
	return cannotExec(tx)
}

// field returns a field of a struct, or of what points to one; the zero Value if there is none.
func field(v reflect.Value, name string) reflect.Value {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}

// valueOf returns what is in v; nil for the zero Value, and for what others must not read.
func valueOf(v reflect.Value) any {
	if !v.IsValid() || !v.CanInterface() {
		return nil
	}
	return v.Interface()
}
