package pgxbus

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

func outboxDatabase(t *testing.T, url string, options OutboxOptions) drivertest.OutboxDatabase {
	program := openPool(t, url)
	return drivertest.OutboxDatabase{
		Open: func(t *testing.T) drivers.Outbox {
			o := NewOutbox(openPool(t, url), options)
			if err := o.Err(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { o.Close() })
			return o
		},
		Begin: func(t *testing.T) drivertest.OutboxTransaction { return begin(t, program) },
	}
}

func begin(t *testing.T, pool *pgxpool.Pool) drivertest.OutboxTransaction {
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback(ctx) })
	return drivertest.OutboxTransaction{
		Exec: func(ctx context.Context, statement string) error {
			_, err := tx.Exec(ctx, statement)
			return err
		},
		Commit: func() error { return tx.Commit(ctx) }, Rollback: func() error { return tx.Rollback(ctx) },
	}
}

func TestOutboxConformance(t *testing.T) {
	url := running.Of(t).URL()
	for name, table := range map[string]string{
		"Default": "",
		// The channel has the longest name that there can be.
		"LongName": strings.Repeat("Q", 55),
	} {
		t.Run(name, func(t *testing.T) { drivertest.Outbox(t, outboxDatabase(t, url, OutboxOptions{Table: table})) })
	}
}

func TestAnOutboxWithoutAPoolCannotBeUsed(t *testing.T) {
	for name, o := range map[string]*Outbox{"nil": NewOutbox(nil, OutboxOptions{}), "zero": {}} {
		if err := o.Err(); err == nil || !strings.HasPrefix(err.Error(), "pgxbus: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := NewOutbox(nil, OutboxOptions{}).Close(); err != nil {
		t.Error(err)
	}
	pool := openPool(t, "postgres://127.0.0.1:1/x")
	for name, options := range map[string]OutboxOptions{"interval": {PingInterval: -1}, "table": {Table: strings.Repeat("t", 56)}} {
		o := NewOutbox(pool, options)
		if o.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
		o.Close()
	}
}
