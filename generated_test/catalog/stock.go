package catalog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrPartner says that a partner's service does not answer.
var ErrPartner = errors.New("the partner does not answer")

// A SKU is the number of something in stock.
type SKU string

// A Currency is a code of three letters.
type Currency string

// Stock is how many pieces of something a warehouse has.
type Stock struct {
	SKU    SKU
	Place  Place
	Pieces int
}

// A Place is where a piece is.
type Place struct {
	Warehouse string
	Shelf     uint16
}

// A Label is printed on what is sold.
type Label struct {
	Of   struct{ ID ProductID }
	Text string
}

// Warehouses is the table of what is in stock. It counts its queries, and
// remembers what it was asked for at a time.
//
//cache:wrap namespace=stock ttl=10m
type Warehouses struct {
	Queries atomic.Int64

	// Hold, if it is not nil, is called by each query before it begins.
	Hold func(ctx context.Context) error

	mu     sync.Mutex // guards the rest
	pieces map[Place]map[SKU]int
	rates  map[Currency]int64
	asked  [][]SKU
	fail   error
}

// NewWarehouses returns an empty table.
func NewWarehouses() *Warehouses {
	return &Warehouses{pieces: make(map[Place]map[SKU]int), rates: make(map[Currency]int64)}
}

// Fail makes every query fail with err, or none if it is nil.
func (w *Warehouses) Fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// Put lays pieces on a shelf.
//
//cache:delete FindStock(place.Warehouse, sku)
func (w *Warehouses) Put(ctx context.Context, place Place, sku SKU, pieces int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pieces[place] == nil {
		w.pieces[place] = make(map[SKU]int)
	}
	w.pieces[place][sku] = pieces
	return nil
}

// SetRate says what a cent costs in a currency, in millionths.
//
//cache:expire FindRate("fixed", currency)
func (w *Warehouses) SetRate(currency Currency, rate int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rates[currency] = rate
	return nil
}

func (w *Warehouses) query(ctx context.Context, f func()) error {
	w.Queries.Add(1)
	if w.Hold != nil {
		if err := w.Hold(ctx); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail == nil {
		f()
	}
	return w.fail
}

// FindStock returns what a warehouse has of something, or nil. Memory looks at the
// shared tier every minute: other processes change the stock as well.
//
//cache:getorset stock:{warehouse}:{sku} tag=sku:{sku} l1ttl=1m notfound=nil notfoundttl=1m
func (w *Warehouses) FindStock(ctx context.Context, warehouse string, sku SKU) (stock *Stock, err error) {
	err = w.query(ctx, func() { stock = w.find(warehouse, sku) })
	return stock, err
}

func (w *Warehouses) find(warehouse string, sku SKU) *Stock {
	for place, shelf := range w.pieces {
		if pieces, ok := shelf[sku]; ok && place.Warehouse == warehouse {
			return &Stock{SKU: sku, Place: place, Pieces: pieces}
		}
	}
	return nil
}

// FindStocks returns what a warehouse has of some things, in any order.
//
//cache:batch FindStock(warehouse, skus) by=SKU
func (w *Warehouses) FindStocks(ctx context.Context, warehouse string, skus ...SKU) (stocks []*Stock, err error) {
	err = w.query(ctx, func() {
		w.asked = append(w.asked, slices.Clone(skus))
		for _, sku := range skus {
			if s := w.find(warehouse, sku); s != nil {
				stocks = append([]*Stock{s}, stocks...)
			}
		}
	})
	return stocks, err
}

// FindRate returns what a cent costs in a currency, in millionths. Entries of one
// moment do not all end at another.
//
//cache:getorset rate:{list}:{currency} jitter=10% grace=1h
func (w *Warehouses) FindRate(ctx context.Context, list string, currency Currency) (rate int64, err error) {
	err = w.query(ctx, func() { rate = w.rates[currency] })
	return rate, err
}

// FindRates returns the rates of the currencies that there are.
//
//cache:batch FindRate(list, currencies) ignore=audit
func (w *Warehouses) FindRates(ctx context.Context, currencies []Currency, list, audit string) (map[Currency]int64, error) {
	rates := make(map[Currency]int64)
	err := w.query(ctx, func() {
		for _, c := range currencies {
			if r, ok := w.rates[c]; ok {
				rates[c] = r
			}
		}
	})
	return rates, err
}

// LoadLabel returns the text of a label. Few change, and readers never wait for one.
//
//cache:getorset label:{id} refresh=80% grace=1h
func (w *Warehouses) LoadLabel(ctx context.Context, id ProductID) (label Label, err error) {
	err = w.query(ctx, func() {
		label.Of.ID = id
		label.Text = string(rune('A' + w.Queries.Load()%26))
	})
	return label, err
}

// LoadLabels returns labels. A field of a field says what each belongs to.
//
//cache:batch LoadLabel(ids) by=Of.ID
func (w *Warehouses) LoadLabels(ctx context.Context, ids []ProductID) (labels []Label, err error) {
	err = w.query(ctx, func() {
		for _, id := range slices.Backward(ids) {
			l := Label{Text: "batch"}
			l.Of.ID = id
			labels = append(labels, l)
		}
	})
	return labels, err
}

// QueryPartner asks a partner, who is not asked again for two seconds after an error.
//
//cache:getorset partner:{name} errorttl=2s
func (w *Warehouses) QueryPartner(ctx context.Context, name string) (pieces int, err error) {
	err = w.query(ctx, func() { pieces = len(name) })
	return pieces, err
}

// LoadReport adds everything up. Who waits for somebody else's report for long
// makes one.
//
//cache:getorset report:{warehouse} locktimeout=1s
func (w *Warehouses) LoadReport(ctx context.Context, warehouse string) (pieces int, err error) {
	err = w.query(ctx, func() {
		for place, shelf := range w.pieces {
			for _, n := range shelf {
				if place.Warehouse == warehouse {
					pieces += n
				}
			}
		}
	})
	return pieces, err
}

// FindWeight returns the weight of a piece in grams.
//
//cache:getorset weight:{sku} namespace=stock ttl=1h notfound=ErrNotFound
func FindWeight(ctx context.Context, sku SKU) (int, error) {
	if sku == "" {
		return 0, ErrNotFound
	}
	return len(sku), ctx.Err()
}

// FindWeights returns the weights of pieces that have one.
//
//cache:batch FindWeight(skus)
func FindWeights(skus []SKU) (map[SKU]int, error) {
	weights := make(map[SKU]int)
	for _, sku := range skus {
		if sku != "" {
			weights[sku] = len(sku)
		}
	}
	return weights, nil
}
