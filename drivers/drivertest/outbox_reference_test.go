package drivertest_test

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

// A referenceTable is a simple table of an outbox, and the database that it is part of. bug names
// one fault that its outboxes have.
type referenceTable struct {
	bug string

	mu      sync.Mutex // guards the rest
	rows    map[drivers.OutboxID]*referenceRow
	changed chan struct{} // closed when entries were committed
	n       int           // entries appended so far
	passed  int           // used by a bug
	open    int           // transactions that have appended and not ended
}

type referenceRow struct {
	drivers.OutboxEntry
	n            int
	due, created time.Time
}

func newReferenceTable(bug string) *referenceTable {
	return &referenceTable{bug: bug, rows: make(map[drivers.OutboxID]*referenceRow), changed: make(chan struct{})}
}

// begin begins a transaction, whose statements are the text "append ID STORE PAYLOAD WAIT".
func (table *referenceTable) begin(t *testing.T) drivertest.OutboxTransaction {
	var rows []*referenceRow
	end := func() {
		table.mu.Lock()
		defer table.mu.Unlock()
		for _, row := range rows {
			table.rows[row.ID] = row
		}
		table.open -= len(rows)
		if len(rows) > 0 {
			close(table.changed)
			table.changed = make(chan struct{})
		}
		rows = nil
	}
	return drivertest.OutboxTransaction{
		Exec: func(ctx context.Context, statement string) error {
			table.mu.Lock()
			defer table.mu.Unlock()
			var id, store, payload []byte
			var wait int64
			if _, err := fmt.Sscanf(strings.ReplaceAll(statement, "x'", " x"), "append %x %x %x %d", &id, &store, &payload, &wait); err != nil {
				return err
			}
			table.n++
			table.open++
			row := &referenceRow{n: table.n, created: time.Now(), due: time.Now().Add(time.Duration(wait))}
			row.ID, row.Store, row.Payload = drivers.OutboxID(id), string(store[1:]), payload[1:]
			if table.bug == "shows what is not committed" {
				table.rows[row.ID] = row
			}
			rows = append(rows, row)
			return nil
		},
		Commit: func() error { end(); return nil },
		Rollback: func() error {
			if table.bug != "keeps what is rolled back" {
				table.mu.Lock()
				table.open -= len(rows)
				table.mu.Unlock()
				rows = nil
			}
			end()
			return nil
		},
	}
}

// A reference outbox of one process.
type referenceOutbox struct {
	*referenceTable
	closed    chan struct{}
	closeOnce func()
	listeners *sync.WaitGroup
}

func (table *referenceTable) outbox() *referenceOutbox {
	o := &referenceOutbox{referenceTable: table, closed: make(chan struct{}), listeners: new(sync.WaitGroup)}
	o.closeOnce = sync.OnceFunc(func() { close(o.closed) })
	return o
}

func (o *referenceOutbox) isClosed() bool {
	select {
	case <-o.closed:
		return o.bug != "works after Close"
	default:
		return false
	}
}

func (o *referenceOutbox) do(ctx context.Context, verb string, f func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := ctx.Err()
	if o.isClosed() {
		err = drivers.ErrClosed
	}
	if err == nil {
		err = f()
	}
	if err != nil && o.bug == "errors without a name" {
		return err
	}
	if err != nil {
		return fmt.Errorf("reference: %s: %w", verb, err)
	}
	return nil
}

func (o *referenceOutbox) Append(ctx context.Context, exec drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	err := o.do(ctx, "append", func() error {
		for _, e := range entries {
			if e.Store == "" || len(e.Store) > drivers.MaxOutboxStore || len(e.Payload) > drivers.MaxOutboxPayload {
				if o.bug != "takes what is too large" {
					return fmt.Errorf("%w: %d, %d", drivers.ErrRefused, len(e.Store), len(e.Payload))
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if o.bug == "forgets to wait" {
		wait = 0
	}
	for _, e := range entries {
		text := hex.EncodeToString([]byte("." + e.Store))
		payload := hex.EncodeToString(append([]byte("."), e.Payload...))
		statement := fmt.Sprintf("append %x %s %s %d", e.ID[:], text, payload, max(0, wait))
		if o.bug == "writes parameters" {
			statement += " ?"
		}
		if err := exec(ctx, statement); err != nil {
			return fmt.Errorf("reference: append: %w", err)
		}
	}
	return nil
}

func (o *referenceOutbox) Take(ctx context.Context, r drivers.OutboxRequest) (taken []drivers.OutboxEntry, err error) {
	err = o.do(ctx, "take", func() error {
		if (r.Max < 1 || r.Hold <= 0) && o.bug != "takes any request" {
			return drivers.ErrRefused
		}
		if o.open > 0 && o.bug == "waits for open transactions" {
			return nil
		}
		var due []*referenceRow
		now := time.Now()
		for _, row := range o.rows {
			of := slices.ContainsFunc(r.Stores, func(store string) bool {
				return store == row.Store || o.bug == "ignores case" && strings.EqualFold(store, row.Store)
			})
			if of && !row.due.After(now) && (row.n > o.passed || row.Attempts > 0 || o.bug != "remembers how far it has read") {
				due = append(due, row)
			}
		}
		slices.SortFunc(due, func(a, b *referenceRow) int {
			if o.bug == "newest first" {
				return cmp.Compare(b.n, a.n)
			}
			return cmp.Compare(a.n, b.n)
		})
		if o.bug == "takes what another takes" {
			o.mu.Unlock()
			time.Sleep(time.Millisecond)
			o.mu.Lock()
		}
		for _, row := range due[:min(len(due), max(0, r.Max))] {
			row.Attempts++
			row.due = time.Now().Add(r.Hold)
			if o.bug == "holds for ever" {
				row.due = time.Now().Add(24 * time.Hour)
			}
			o.passed = max(o.passed, row.n)
			e := row.OutboxEntry
			e.Age = time.Since(row.created)
			if o.bug == "does not count attempts" {
				e.Attempts = 1
			}
			taken = append(taken, e)
		}
		if o.bug == "removes what it hands out" {
			for _, e := range taken {
				delete(o.rows, e.ID)
			}
		}
		return nil
	})
	return taken, err
}

func (o *referenceOutbox) Postpone(ctx context.Context, ids []drivers.OutboxID, wait time.Duration) error {
	return o.do(ctx, "postpone", func() error {
		for _, id := range ids {
			row := o.rows[id]
			if row == nil && o.bug == "brings back what is removed" {
				row = new(referenceRow)
				row.ID, row.Store = id, "unknown"
				for _, other := range o.rows {
					row.Store = other.Store
				}
				o.rows[id] = row
			}
			if row != nil && o.bug != "does not postpone" {
				row.due = time.Now().Add(wait)
			}
		}
		return nil
	})
}

func (o *referenceOutbox) Remove(ctx context.Context, ids []drivers.OutboxID) error {
	return o.do(ctx, "remove", func() error {
		if o.bug == "removes some at a time" {
			ids = ids[:min(len(ids), 100)]
		}
		for _, id := range ids {
			delete(o.rows, id)
		}
		return nil
	})
}

func (o *referenceOutbox) Notify(l drivers.Listener) (func(), error) {
	if o.isClosed() {
		return nil, drivers.ErrClosed
	}
	done := make(chan struct{})
	o.mu.Lock()
	changed := o.changed
	o.mu.Unlock()
	var running sync.WaitGroup
	running.Go(func() {
		l.Up()
		for {
			select {
			case <-changed:
			case <-done:
				return
			case <-o.closed:
				return
			}
			o.mu.Lock()
			changed = o.changed
			o.mu.Unlock()
			if o.bug != "tells nobody" {
				l.Message([]byte{})
			}
		}
	})
	return sync.OnceFunc(func() { close(done); running.Wait() }), nil
}

func (o *referenceOutbox) Close() error {
	if o.closeOnce(); o.bug == "closes once" {
		return errors.New("reference: close: closed twice")
	}
	return nil
}

func TestTheReferenceOutboxConforms(t *testing.T) {
	table := newReferenceTable(os.Getenv(bugEnv))
	drivertest.Outbox(t, drivertest.OutboxDatabase{
		Open:  func(t *testing.T) drivers.Outbox { return table.outbox() },
		Begin: table.begin,
	})
}

// Each bug fails the test of the promise that it breaks.
func TestBrokenOutboxesFail(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, 8) // most of them wait
	for bug, test := range map[string]string{
		"shows what is not committed":   "ExactlyWhatCommits",
		"keeps what is rolled back":     "ExactlyWhatCommits",
		"remembers how far it has read": "NothingIsPassedOver",
		"waits for open transactions":   "AnOpenTransactionHoldsNobodyUp",
		"forgets to wait":               "WaitsAsLongAsItIsTold",
		"takes what another takes":      "OneTakesEach",
		"holds for ever":                "WhatIsHeldComesBack",
		"removes what it hands out":     "WhatIsHeldComesBack",
		"does not count attempts":       "WhatIsHeldComesBack",
		"does not postpone":             "Postpone",
		"brings back what is removed":   "Postpone",
		"removes some at a time":        "Remove",
		"ignores case":                  "OnlyOfTheStoresAskedFor",
		"newest first":                  "OldestFirst",
		"writes parameters":             "StatementsFitIntoAnyLibrary",
		"takes what is too large":       "Refused",
		"takes any request":             "Refused",
		"errors without a name":         "EndedContext",
		"works after Close":             "CloseTwice",
		"closes once":                   "CloseTwice",
		"tells nobody":                  "Notify",
	} {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			cmd := exec.Command(program, "-test.run", "^TestTheReferenceOutboxConforms$/^"+test+"$", "-test.v")
			cmd.Env = append(os.Environ(), bugEnv+"="+bug)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestTheReferenceOutboxConforms/"+test) {
				t.Errorf("an outbox that %s passes %s: %v\n%s", bug, test, err, out)
			}
		})
	}
	running.Wait()
}
