// Package shapes has one function for each shape of signature, key and target.
package shapes

import (
	"context"
	"net/netip"
	"time"
)

type (
	TeamID  uint32
	Slug    string
	Enabled bool
)

type Filter struct {
	Team  TeamID
	Limit int
}

type Account struct {
	ID    int64
	Slug  Slug
	Team  *Team
	Owner *Account
}

type Team struct {
	ID   TeamID
	Lead *Account
}

type Option func(*Filter)

// Repo has a tenant, and methods that helpers must not hide.
type Repo struct{ tenant string }

// Several fields, named types, text before and after, a field of a parameter, a field of
// the receiver, and parameters that are called like the variables of generated code.
func (r *Repo) ListAccounts(ctx context.Context, filter Filter, key Slug, ok Enabled, opts ...Option) ([]Account, error) {
	return nil, nil
}

// A name that a helper would have.
func (r *Repo) GetHost(ctx context.Context, addr netip.Addr) (host struct {
	Name string
	Seen time.Time
}, err error) {
	return
}

// The name of a drop-in is its own.
func (r *Repo) findLimit(ctx context.Context, team TeamID, visit func(map[string]int) error, shape struct{ A, B int }) (limit int, err error) {
	return
}

// No parameters at all.
func (r *Repo) Settings(ctx context.Context) (map[string]string, error) { return nil, nil }

// Nothing but a number in the key.
func (r *Repo) Bare(ctx context.Context, n int) (string, error) { return "", nil }

// Several results, several targets, some behind pointers.
func (r *Repo) Merge(ctx context.Context, into, from *Account) (account *Account, moved int, err error) {
	return
}

// Tags behind the result.
func (r *Repo) Promote(ctx context.Context, id int64) (*Account, error) { return nil, nil }

// Targets behind the result, and behind more pointers of it.
func (r *Repo) Demote(ctx context.Context, id int64) (*Account, error) { return nil, nil }

// Targets behind pointers of their own only.
func (r *Repo) Transfer(ctx context.Context, a, b *Account) error { return nil }

// Variadic parameters of a writer stay variadic; its error variable goes around err.
func (r *Repo) Tune(ctx context.Context, err string, options ...Option) error { return nil }
