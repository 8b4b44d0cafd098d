package prices

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // for machines that have no time zones

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func decimal(t *testing.T, text string) Decimal {
	t.Helper()
	d, err := ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// someQuotes returns a quote with everything in it, one that has values which are
// empty, and one in which all is zero.
func someQuotes(t *testing.T) map[Symbol]Quote {
	t.Helper()
	closes := time.Date(2026, 10, 25, 2, 30, 0, 0, zone(t, "Europe/Berlin")) // an hour that comes twice
	change := decimal(t, "-0.0001")
	peer := Quote{Symbol: "PEER", Last: decimal(t, "1"), Peers: map[Symbol]*Quote{}}
	return map[Symbol]Quote{
		"FULL:1": {
			Symbol: "FULL:1", Last: decimal(t, "1234.5"), Change: &change, Split: NewRatio(3, 2),
			At:     time.Date(2026, 3, 29, 9, 0, 0, 123456789, zone(t, "America/New_York")),
			Market: Market{Name: "New York", Opens: time.Date(1850, 1, 1, 9, 30, 0, 0, zone(t, "America/New_York")), Closes: &closes},
			Book:   map[Side][]Level{Buy: {{decimal(t, "1"), math.MaxUint64}, {decimal(t, "-922337203685477.5808"), 0}}, Sell: nil},
			History: map[string]map[int][]Tick{"2026": {1: {
				{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), decimal(t, "7")},
				{time.Date(2026, 1, 1, 5, 45, 0, 0, time.FixedZone("", 5*3600+45*60)), decimal(t, "8")},
				{time.Date(2026, 1, 1, 5, 45, 0, 1, time.FixedZone("X", -1)), decimal(t, "9")},
				{time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), decimal(t, "9")},
				{time.Time{}, Decimal{}},
			}, 2: {}}, "": nil},
			Weights: [3]float64{math.Inf(1), -0.1, math.MaxFloat64},
			Matrix:  [][]Decimal{{}, nil, {decimal(t, "0.5")}},
			Notes:   []string{"", "\xff\x00", "ü"},
			Raw:     []byte{0, 255},
			Delay:   math.MinInt64,
			Peers:   map[Symbol]*Quote{"PEER": &peer, "none": nil},
		},
		"EMPTY": {
			Symbol: "EMPTY", At: time.Unix(0, 0).In(zone(t, "Asia/Tokyo")), Book: map[Side][]Level{}, History: map[string]map[int][]Tick{},
			Matrix: [][]Decimal{}, Notes: []string{}, Raw: []byte{}, Peers: map[Symbol]*Quote{},
		},
		"": {},
	}
}

func board(t *testing.T) *Board {
	t.Helper()
	b := NewBoard()
	b.quotes = someQuotes(t)
	return b
}

func wrap(t *testing.T, b *Board, stores runtime.Stores) *CachedBoard {
	t.Helper()
	cached, err := NewCachedBoard(b, stores)
	if err != nil {
		t.Fatal(err)
	}
	return cached
}

func (b *Board) wantQueries(t *testing.T, want int64, f func()) {
	t.Helper()
	before := b.Queries.Load()
	f()
	if n := b.Queries.Load() - before; n != want {
		t.Errorf("%d queries, want %d", n, want)
	}
}

// two runs f on a board in front of which are two processes that share a tier.
func two(t *testing.T, f func(t *testing.T, board *Board, a, b *CachedBoard)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		table := board(t)
		one, other := process.Two(t)
		f(t, table, wrap(t, table, one), wrap(t, table, other))
	})
}

func TestAValueIsTheSameInAnotherProcess(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		for symbol, want := range someQuotes(t) {
			if _, err := a.FindQuote(t.Context(), symbol); err != nil {
				t.Fatal(err)
			}
			board.wantQueries(t, 0, func() {
				got, err := b.FindQuote(t.Context(), symbol)
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, *got, want)
			})
		}
	})
}

func TestMapsAndNumbersAreTheSameInAnotherProcess(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		ctx := t.Context()
		symbols, err := a.FindSymbols(ctx, decimal(t, "0.5"))
		if err != nil || len(symbols) != 1 {
			t.Fatal(symbols, err)
		}
		nothing, err := a.FindSymbols(ctx, decimal(t, "99999"))
		if err != nil || nothing == nil || len(nothing) != 0 {
			t.Fatal(nothing, err)
		}
		if _, err := a.FindLast(ctx, "FULL:1"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.FindTimes(ctx, "EMPTY"); err != nil {
			t.Fatal(err)
		}
		board.wantQueries(t, 0, func() {
			if got, err := b.FindSymbols(ctx, decimal(t, "0.50")); err != nil {
				t.Error(err)
			} else {
				wantSame(t, got, symbols)
			}
			if got, err := b.FindSymbols(ctx, decimal(t, "99999")); err != nil {
				t.Error(err)
			} else {
				wantSame(t, got, nothing)
			}
			if got, err := b.FindLast(ctx, "FULL:1"); err != nil || got != decimal(t, "1234.5") {
				t.Error(got, err)
			}
			if got, err := b.FindTimes(ctx, "EMPTY"); got != nil || err != nil {
				t.Errorf("nil has become %v, %v", got, err)
			}
		})
	})
}

func TestAListOfTimesKeepsTheirZones(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		want, err := a.FindTimes(t.Context(), "FULL:1")
		if err != nil || len(want) != 5 {
			t.Fatal(want, err)
		}
		board.wantQueries(t, 0, func() {
			got, err := b.FindTimes(t.Context(), "FULL:1")
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, got, want)
		})
	})
}

func TestAnUnknownSymbolIsUnknownInAnotherProcess(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		board.wantQueries(t, 1, func() {
			for _, c := range []*CachedBoard{a, b} {
				if q, err := c.FindQuote(t.Context(), "?"); q != nil || !errors.Is(err, ErrUnknown) {
					t.Fatal(q, err)
				}
			}
		})
	})
}

func TestASharedValueIsTheSameForAllCallers(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		for _, c := range []*CachedBoard{a, b} { // loaded, and read from the shared tier
			first, err := c.FindQuote(t.Context(), "FULL:1")
			if err != nil {
				t.Fatal(err)
			}
			if again, err := c.FindQuote(t.Context(), "FULL:1"); again != first || err != nil {
				t.Errorf("callers of one process have different values, %v", err)
			}
		}
	})
}

func TestATradeChangesWhatDependsOnIt(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		ctx := t.Context()
		last := func(c *CachedBoard) Decimal {
			d, err := c.FindLast(ctx, "EMPTY")
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if q, err := a.FindQuote(ctx, "EMPTY"); err != nil || q.Last != (Decimal{}) {
			t.Fatal(q, err)
		}
		last(a)
		last(b)
		price := decimal(t, "3.25")
		if err := a.Trade(ctx, "EMPTY", price); err != nil {
			t.Fatal(err)
		}
		if q, err := a.FindQuote(ctx, "EMPTY"); err != nil || q.Last != price {
			t.Errorf("quoted at %v, %v, want %v", q, err, price)
		}
		if d := last(a); d != (Decimal{}) {
			t.Errorf("the grace value is gone: %v", d)
		}
		synctest.Wait()
		if d := last(a); d != price {
			t.Errorf("the last price is %v, want %v", d, price)
		}
		time.Sleep(2 * process.Trust)
		last(b)
		synctest.Wait()
		if d := last(b); d != price {
			t.Errorf("in the other process the last price is %v, want %v", d, price)
		}
	})
}

func TestClosingForgetsAllPricesInAllProcesses(t *testing.T) {
	two(t, func(t *testing.T, board *Board, a, b *CachedBoard) {
		for _, c := range []*CachedBoard{a, b} {
			if _, err := c.FindQuote(t.Context(), "EMPTY"); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * process.Trust)
		for _, c := range []*CachedBoard{a, b} {
			if q, err := c.FindQuote(t.Context(), "EMPTY"); !errors.Is(err, ErrUnknown) {
				t.Errorf("got %v, %v, want %v", q, err, ErrUnknown)
			}
		}
	})
}

func TestADraftBelongsToItsCaller(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		b := board(t)
		cached, err := NewCachedDesk(&Desk{b}, stores)
		if err != nil {
			t.Fatal(err)
		}
		draft := func() Quote {
			q, err := cached.LoadDraft(t.Context(), "FULL:1")
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		want := draft()
		b.quotes = someQuotes(t) // the first caller has what the table had
		for range 2 {
			mine := draft()
			wantSame(t, mine, someQuotes(t)["FULL:1"])
			mine.Change.units = 77
			mine.Market.Closes = nil
			mine.Book[Buy][0].Amount = 77
			mine.History["2026"][1][0].Price = Decimal{77}
			mine.Matrix[2][0] = Decimal{77}
			mine.Notes[0] = "mine"
			mine.Raw[0] = 77
			mine.Peers["PEER"].Last = Decimal{77}
			mine.Split.Double() // it has a Clone
		}
		wantSame(t, draft(), someQuotes(t)["FULL:1"])
		wantSame(t, want, someQuotes(t)["FULL:1"])
	})
}
