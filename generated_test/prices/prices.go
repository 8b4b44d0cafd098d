// Package prices has what things cost, when and where: numbers, times and nested
// values that have to come out of a shared tier as they went in.
package prices

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

//go:generate go tool cachegen

// ErrUnknown says that nothing is known of a symbol.
var ErrUnknown = errors.New("unknown symbol")

// A Symbol names what has a price.
type Symbol string

// A Side is what somebody wants to do.
type Side int8

// The sides.
const (
	Buy Side = iota + 1
	Sell
)

// A Level is how much is to be had at a price.
type Level struct {
	Price  Decimal
	Amount uint64
}

// A Tick is a price at a time.
type Tick struct {
	At    time.Time
	Price Decimal
}

// A Market is where things are sold.
type Market struct {
	Name   string
	Opens  time.Time
	Closes *time.Time // nil where it never does
}

// A Quote is all that is known of a symbol.
type Quote struct {
	Symbol  Symbol
	Last    Decimal
	Change  *Decimal // nil on the first day
	Split   Ratio
	At      time.Time
	Market  Market
	Book    map[Side][]Level
	History map[string]map[int][]Tick
	Weights [3]float64
	Matrix  [][]Decimal
	Notes   []string
	Raw     []byte
	Delay   time.Duration
	Peers   map[Symbol]*Quote
}

// Board is the table of prices. It counts its queries. Nobody changes what it
// hands out.
//
//cache:wrap namespace=prices ttl=1m grace=10m shared
type Board struct {
	Queries atomic.Int64

	mu     sync.Mutex // guards quotes
	quotes map[Symbol]Quote
}

// NewBoard returns a board with these quotes.
func NewBoard(quotes ...Quote) *Board {
	b := &Board{quotes: make(map[Symbol]Quote)}
	for _, q := range quotes {
		b.quotes[q.Symbol] = q
	}
	return b
}

func (b *Board) query(f func()) {
	b.Queries.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// FindQuote returns the quote of a symbol.
//
//cache:getorset quote:{symbol} notfound=ErrUnknown notfoundttl=1m
func (b *Board) FindQuote(ctx context.Context, symbol Symbol) (quote *Quote, err error) {
	b.query(func() {
		q, ok := b.quotes[symbol]
		if !ok {
			err = ErrUnknown
			return
		}
		quote = &q
	})
	return quote, err
}

// FindSymbols returns the symbols that cost at least a price.
//
//cache:getorset above:{price} name=Above
func (b *Board) FindSymbols(ctx context.Context, price Decimal) (symbols map[Symbol]Decimal, err error) {
	b.query(func() {
		symbols = make(map[Symbol]Decimal)
		for s, q := range b.quotes {
			if q.Last.units >= price.units {
				symbols[s] = q.Last
			}
		}
	})
	return symbols, nil
}

// FindLast returns the last price of a symbol.
//
//cache:getorset last:{symbol} tag=last
func (b *Board) FindLast(ctx context.Context, symbol Symbol) (last Decimal, err error) {
	b.query(func() { last = b.quotes[symbol].Last })
	return last, nil
}

// FindTimes returns when a symbol was traded.
//
//cache:getorset times:{symbol}
func (b *Board) FindTimes(ctx context.Context, symbol Symbol) (times []time.Time, err error) {
	b.query(func() {
		for _, year := range b.quotes[symbol].History {
			for _, ticks := range year {
				for _, tick := range ticks {
					times = append(times, tick.At)
				}
			}
		}
	})
	return times, nil
}

// Trade changes the price of a symbol.
//
//cache:delete FindQuote(symbol) FindTimes(symbol)
//cache:expire tag=last
func (b *Board) Trade(ctx context.Context, symbol Symbol, price Decimal) error {
	b.query(func() {
		q := b.quotes[symbol]
		q.Symbol, q.Last = symbol, price
		b.quotes[symbol] = q
	})
	return nil
}

// Close forgets all prices.
//
//cache:clear prices
func (b *Board) Close() error {
	b.query(func() { clear(b.quotes) })
	return nil
}

// A Desk has prices that its traders change for themselves.
type Desk struct{ *Board }

// LoadDraft returns a quote that is the caller's own: it is copied for each.
//
//cache:getorset draft:{symbol} namespace=desk ttl=1m
func (d Desk) LoadDraft(ctx context.Context, symbol Symbol) (quote Quote, err error) {
	d.query(func() { quote = d.quotes[symbol] })
	return quote, nil
}
