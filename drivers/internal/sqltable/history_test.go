package sqltable

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
)

// A fakeServer answers a query by answer, and refuses to prepare anything.
type fakeServer struct {
	mu      sync.Mutex
	asked   []string
	answer  func(ctx context.Context, query string) (string, error)
	failing error // of other statements
}

func (s *fakeServer) Connect(context.Context) (driver.Conn, error) { return fakeConn{s}, nil }
func (s *fakeServer) Driver() driver.Driver                        { return nil }

func (s *fakeServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

type fakeConn struct{ *fakeServer }

func (c fakeConn) Prepare(string) (driver.Stmt, error) { return nil, c.failing }
func (c fakeConn) Close() error                        { return nil }
func (c fakeConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

func (c fakeConn) QueryContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	c.mu.Lock()
	c.asked = append(c.asked, query)
	c.mu.Unlock()
	text, err := c.answer(ctx, query)
	if err != nil {
		return nil, err
	}
	return &oneRow{text: text}, nil
}

type oneRow struct {
	text string
	read bool
}

func (r *oneRow) Columns() []string { return []string{"text"} }
func (r *oneRow) Close() error      { return nil }

func (r *oneRow) Next(into []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read, into[0] = true, r.text
	return nil
}

var errFake = errors.New("the server is away")

// withHistory runs a test with a table of a fake server, in virtual time.
func withHistory(t *testing.T, test func(t *testing.T, table *Table, server *fakeServer)) {
	synctest.Test(t, func(t *testing.T) {
		table, server, end := fakeTable()
		defer end()
		test(t, table, server)
	})
}

func fakeTable() (table *Table, server *fakeServer, end func()) {
	server = &fakeServer{failing: errFake}
	server.answer = func(_ context.Context, query string) (string, error) { return "first " + query, nil }
	db := sql.OpenDB(server)
	no := func(error) bool { return false }
	table = New(db, &Dialect{
		Dialect:  sqlbase.Dialect{Name: "fake", Busy: no, Answered: no, TooLarge: no},
		Identity: []string{"all", "less"},
		Untold:   func(err error) bool { return strings.Contains(err.Error(), "denied") },
	}, Options{Table: "t", SkipCreate: true})
	return table, server, func() { table.Close(); db.Close() }
}

func mustTell(t *testing.T, table *Table, want string) {
	t.Helper()
	if text, err := table.History(t.Context()); err != nil || text != want {
		t.Errorf("the history is %q, %v, want %q", text, err, want)
	}
}

func TestHistoryIsAskedForWithAReason(t *testing.T) {
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		time.Sleep(time.Hour)
		if n := server.questions(); n != 0 {
			t.Errorf("%d questions although nobody wants to know", n)
		}
		ask := func(questions int) {
			t.Helper()
			before := server.questions()
			for range 3 {
				mustTell(t, table, "first all")
			}
			if n := server.questions() - before; n != questions {
				t.Errorf("%d questions, want %d", n, questions)
			}
		}
		ask(1)
		time.Sleep(historyEvery - 1)
		ask(0)
		time.Sleep(time.Nanosecond)
		ask(1)
		fail := func(want error, operation func() error) {
			t.Helper()
			if err := operation(); !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		}
		fail(errFake, func() error { return table.DeleteMany(t.Context(), []string{"a"}) })
		ask(1)
		// What was never tried says nothing of the server.
		fail(drivers.ErrRefused, func() error { return table.SetMany(t.Context(), []drivers.Item{{TTL: -1}}) })
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		fail(context.Canceled, func() error { return table.DeleteMany(ended, []string{"a"}) })
		ask(0)
	})
}

// A failure while the question is under way says that the answer may be that of the server before.
func TestAFailureDuringAQuestionAsksAnother(t *testing.T) {
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		answers := make(chan string)
		server.answer = func(context.Context, string) (string, error) { return <-answers, nil }
		var told sync.WaitGroup
		told.Go(func() { mustTell(t, table, "old") }) // it came before the failure
		synctest.Wait()
		_ = table.DeleteMany(t.Context(), []string{"a"})
		told.Go(func() { mustTell(t, table, "new") })
		synctest.Wait()
		answers <- "old"
		answers <- "new"
		told.Wait()
		mustTell(t, table, "new")
		if n := server.questions(); n != 2 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestCallersShareAQuestion(t *testing.T) {
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		hold := make(chan error)
		server.answer = func(_ context.Context, query string) (string, error) { return query, <-hold }
		results := make(chan error, 100)
		ctx, cancel := context.WithCancel(t.Context())
		for i := range cap(results) {
			ctx := ctx
			if i > 0 {
				ctx = t.Context()
			}
			go func() { // the first gives up
				_, err := table.History(ctx)
				results <- err
			}()
			synctest.Wait()
		}
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up is told %v", err)
		}
		hold <- errFake // an error is shared, and not remembered
		for range cap(results) - 1 {
			if err := <-results; !errors.Is(err, errFake) || !strings.HasPrefix(err.Error(), `fake: history in table "t": `) {
				t.Errorf("error %v", err)
			}
		}
		if n := server.questions(); n != 1 {
			t.Errorf("%d questions", n)
		}
		go func() { hold <- nil }()
		mustTell(t, table, "all")
	})
}

// A question that has hung since before the caller came tells nothing of what it has just read.
func TestAnOldQuestionDoesNotCount(t *testing.T) {
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		answers := make(chan string)
		server.answer = func(context.Context, string) (string, error) { return <-answers, nil }
		var told sync.WaitGroup
		told.Go(func() { mustTell(t, table, "old") })
		time.Sleep(historyEvery)
		told.Go(func() { mustTell(t, table, "new") })
		synctest.Wait()
		answers <- "old"
		answers <- "new"
		told.Wait()
	})
}

func TestASilentServerIsNotWaitedForForEver(t *testing.T) {
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		server.answer = func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		start := time.Now()
		if _, err := table.History(t.Context()); err == nil || time.Since(start) != historyLimit {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		var closed sync.WaitGroup
		closed.Go(func() {
			if _, err := table.History(t.Context()); !errors.Is(err, drivers.ErrClosed) {
				t.Errorf("while it was closed: %v", err)
			}
		})
		synctest.Wait()
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		closed.Wait()
		if _, err := table.History(t.Context()); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestWhatIsNotToldIsLeftOut(t *testing.T) {
	denied := errors.New("denied")
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		first := denied
		server.answer = func(_ context.Context, query string) (string, error) {
			if query == "all" {
				return "", first
			}
			return query, nil
		}
		for range 3 {
			mustTell(t, table, "less")
			time.Sleep(historyEvery)
		}
		first = nil
		mustTell(t, table, "less") // the text stays the same
		if n := server.questions(); n != 5 {
			t.Errorf("%d questions, want one that was denied and four", n)
		}
	})
	withHistory(t, func(t *testing.T, table *Table, server *fakeServer) {
		server.answer = func(context.Context, string) (string, error) { return "", denied }
		mustTell(t, table, "")
		server.answer = func(context.Context, string) (string, error) { return "", errFake }
		time.Sleep(historyEvery)
		if _, err := table.History(t.Context()); !errors.Is(err, errFake) {
			t.Errorf("of a server that is away: %v", err)
		}
	})
}

func TestHistoryAllocatesNothing(t *testing.T) {
	table, _, end := fakeTable()
	defer end()
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = table.History(ctx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHistory(b *testing.B) {
	table, _, end := fakeTable()
	defer end()
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = table.History(ctx)
		}
	})
}
