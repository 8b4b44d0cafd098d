package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// away is a database that nothing may be sent to.
type away struct{ t *testing.T }

func (a away) Connect(context.Context) (driver.Conn, error) {
	a.t.Error("something is sent")
	return nil, errors.New("away")
}

func (a away) Driver() driver.Driver { return nil }

func TestTableNamesThatPostgresWouldCutAreRefused(t *testing.T) {
	db := sql.OpenDB(away{t})
	defer db.Close()
	if err := New(db, Options{Table: strings.Repeat("t", 56)}).Err(); err == nil {
		t.Error("accepted 56 characters")
	}
	if err := New(db, Options{Table: strings.Repeat("t", 55)}).Err(); err != nil {
		t.Errorf("refused 55 characters: %v", err)
	}
}

func TestTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	db := sql.OpenDB(away{t})
	defer db.Close()
	small := dialect
	small.MaxItem = 1 << 20
	small.Columns = "" // what the table is like is not asked for
	d := &Driver{sqltable.New(db, &small, sqltable.Options{Table: DefaultTable, SkipCreate: true})}
	defer d.Close()
	ctx := t.Context()
	large := []drivers.Item{{Key: "b", Value: []byte("x")}, {Key: "a", Value: make([]byte, 1<<20)}}
	_, added := d.AddMany(ctx, large)
	_, filled := d.FillMany(ctx, large, "t")
	_, swapped := d.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: large[1].Value}})
	for name, err := range map[string]error{"set 2": d.SetMany(ctx, large), "add 2": added, "fill 2": filled, "swap 1": swapped} {
		if !errors.Is(err, drivers.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range []string{"postgres: " + name + " key", "bytes; at most 1047552 are allowed"} {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("error %v, want one with %q", err, text)
			}
		}
	}
}
