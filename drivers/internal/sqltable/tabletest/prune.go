package tabletest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase/basetest"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

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
	// Close waits for the end of pruning; after all tests goleak checks for leaks.
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
	b.mustSay(t, <-failed, "prune", "t_failing") // after a failure pruning continues
	basetest.Execute(t, db, b.Schema("t_failing")...)
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

// pruneLeavesLeases: a row stays until both its value and its lease have ended.
func pruneLeavesLeases(t *testing.T, b Backend) {
	db := b.Open(t)
	s := b.open(t, db, sqltable.Options{Table: "t_leases"})
	ctx := t.Context()
	set(t, s, drivers.Item{Key: "ended", TTL: 1})
	for token, ttl := range map[string]time.Duration{"short": 1, "long": time.Hour} {
		got, err := s.LeaseMany(ctx, []string{token, token + " too"}, drivers.LeaseRequest{Token: token, TTL: ttl})
		if err != nil || !got[0].Taken || !got[1].Taken {
			t.Fatal(got, err)
		}
	}
	if got, err := s.LeaseMany(ctx, []string{"ended"}, drivers.LeaseRequest{Token: "long", TTL: time.Hour}); err != nil || !got[0].Taken {
		t.Fatal(got, err)
	}
	// Until the two short leases have ended.
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
	if err != nil || !filled[0].Stored || !filled[1].Stored || !filled[2].Stored {
		t.Errorf("filled %v, %v", filled, err)
	}
}
