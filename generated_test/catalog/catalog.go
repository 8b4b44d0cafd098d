// Package catalog is a product catalogue with cached loaders of many forms. It is
// annotated on purpose: its tests run what the generator makes of it.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

//go:generate go tool cachegen

// ErrNotFound says that a row does not exist.
var ErrNotFound = errors.New("not found")

// A ProductID identifies a product.
type ProductID int64

// A Locale is a language tag such as en-GB.
type Locale string

// A Product is what the shop sells.
type Product struct {
	ID       ProductID
	Name     string
	Category string
	Cents    int64
	Labels   []string
	Brand    *Brand
	Changed  time.Time
}

// A Brand is who makes a product.
type Brand struct {
	ID   int64
	Name string
}

// A Filter narrows a search.
type Filter struct {
	Category string
	Page     uint8
	Trace    string // for logs
}

// Products is the catalogue's table. It counts its queries.
//
//cache:wrap namespace=catalog ttl=10m grace=1h
type Products struct {
	Queries atomic.Int64
	region  string

	mu   sync.Mutex
	rows map[ProductID]Product
	fail error
}

// NewProducts returns an empty table of a region.
func NewProducts(region string) *Products {
	return &Products{region: region, rows: make(map[ProductID]Product)}
}

// Fail makes every query fail with err, or none if it is nil.
func (p *Products) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *Products) query(f func() error) error {
	p.Queries.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	return f()
}

// FindProduct returns the product with the given id, or ErrNotFound.
//
//cache:getorset product:{id} tag=category:{result.Category} tag=brand:{result.Brand.ID} shared
func (p *Products) FindProduct(ctx context.Context, id ProductID) (product *Product, err error) {
	err = p.query(func() error {
		row, ok := p.rows[id]
		if !ok {
			return fmt.Errorf("product %d: %w", id, ErrNotFound)
		}
		product = &row
		return nil
	})
	return product, err
}

// GetPrice returns a product's price in cents, for readers of a locale.
//
//cache:getorset price:{locale}:{id} ttl=1m tag=prices
func (p *Products) GetPrice(ctx context.Context, id ProductID, locale Locale) (cents int64, err error) {
	err = p.query(func() error {
		cents = p.rows[id].Cents
		return nil
	})
	return cents, err
}

// FindProductByName returns the product of a name, or nil.
//
//cache:getorset byname:{name} shared
func (p *Products) FindProductByName(ctx context.Context, name string) (product *Product, err error) {
	err = p.query(func() error {
		for _, row := range p.rows {
			if row.Name == name {
				product = &row
			}
		}
		return nil
	})
	return product, err
}

// Search returns the names of a category's products in this region.
//
//cache:getorset search:{recv.region}:{filter.Category}:{filter.Page} name=Listing
//cache:with tag=category:{filter.Category} timeout=50ms hardtimeout=1s ignore=filter.Trace
func (p *Products) Search(ctx context.Context, filter Filter) (names []string, err error) {
	err = p.query(func() error {
		for _, row := range p.rows {
			if row.Category == filter.Category {
				names = append(names, row.Name)
			}
		}
		return nil
	})
	return names, err
}

// Save stores a product and what depends on it.
//
//cache:set FindProduct(product.ID)
//cache:delete FindProductByName(product.Name) tag=category:{product.Category}
func (p *Products) Save(ctx context.Context, product Product) (*Product, error) {
	err := p.query(func() error {
		p.rows[product.ID] = product
		return nil
	})
	return &product, err
}

// DeleteProduct removes a product from the catalogue. DeleteCachedProduct,
// which is generated, deletes only the entry.
//
//cache:delete FindProduct(id)
func (p *Products) DeleteProduct(ctx context.Context, id ProductID) error {
	return p.query(func() error {
		delete(p.rows, id)
		return nil
	})
}

// Reprice changes every price.
//
//cache:expire tag=prices
func (p *Products) Reprice(ctx context.Context, percent int64) error {
	return p.query(func() error {
		for id, row := range p.rows {
			row.Cents += row.Cents * percent / 100
			p.rows[id] = row
		}
		return nil
	})
}

// country is what lookUp finds.
type country struct{ Code string }

var countryQueries atomic.Int64

// lookUpCountry finds the country of an address.
//
//cache:getorset country:{addr} ttl=forever ignore=trace name=country
func lookUpCountry(ctx context.Context, addr netip.Addr, trace string) (country, error) {
	countryQueries.Add(1)
	if !addr.IsValid() {
		return country{}, ErrNotFound
	}
	return country{Code: "ZZ"}, nil
}

// moveCountry changes the country of an address.
//
//cache:delete lookUpCountry(addr)
func moveCountry(ctx context.Context, addr netip.Addr) error { return ctx.Err() }
