// Package tenants has types of which a program wraps several values: one for each tenant, shard
// or request.
package tenants

import (
	"context"
	"fmt"
)

//go:generate go tool cachegen

// An Account is what a tenant has.
type Account struct {
	ID    int64
	Owner string
}

// Accounts are those of one tenant.
//
//cache:wrap namespace=accounts ttl=1h
type Accounts struct {
	Tenant string
	owners map[int64]string
	loads  int
}

// FindAccount returns an account.
//
//cache:getorset account:{id} tag=owner:{result.Owner}
func (a *Accounts) FindAccount(ctx context.Context, id int64) (Account, error) {
	a.loads++
	return Account{id, a.owners[id]}, nil
}

// FindAccounts returns several accounts.
//
//cache:batch FindAccount(ids) by=ID
func (a *Accounts) FindAccounts(ctx context.Context, ids []int64) ([]Account, error) {
	var list []Account
	for _, id := range ids {
		account, _ := a.FindAccount(ctx, id)
		list = append(list, account)
	}
	return list, nil
}

// Rename gives an account another owner.
//
//cache:delete FindAccount(id)
func (a *Accounts) Rename(ctx context.Context, id int64, owner string) error {
	a.owners[id] = owner
	return nil
}

// Import replaces all accounts.
//
//cache:clear
func (a *Accounts) Import(ctx context.Context, owners map[int64]string) error {
	a.owners = owners
	return nil
}

// A Desk changes accounts of a tenant from outside.
type Desk struct{ Accounts *Accounts }

// Close removes the owner of an account.
//
//cache:delete Accounts.FindAccount(id)
func (d *Desk) Close(ctx context.Context, id int64) error {
	delete(d.Accounts.owners, id)
	return nil
}

// Audit removes the owner of an account that is in no tenant's namespace.
//
//cache:delete Accounts.FindAccount(id)
func Audit(ctx context.Context, accounts *Accounts, id int64) error {
	delete(accounts.owners, id)
	return nil
}

// A Shard is a part of all rows, by a number that is in the key.
type Shard struct {
	Number uint8
	loads  int
}

// FindRow returns a row.
//
//cache:getorset row:{recv.Number}:{id}
func (s *Shard) FindRow(id int64) (string, error) {
	s.loads++
	return fmt.Sprint(s.Number, "/", id), nil
}

// A Session is made for each request. All of them read what is in rows.
type Session struct{ rows *rows }

type rows struct {
	texts map[int64]string
	loads int
}

// FindText returns a text.
//
//cache:getorset text:{id} instances=shared
func (s *Session) FindText(id int64) (string, error) {
	s.rows.loads++
	return s.rows.texts[id], nil
}

// A Visit is a session as well, by what its type says.
//
//cache:wrap instances=shared
type Visit struct{ rows *rows }

// FindLine returns a text.
//
//cache:getorset line:{id}
func (v Visit) FindLine(id int64) (string, error) {
	v.rows.loads++
	return v.rows.texts[id], nil
}

// A Table is generic: of each type of rows there is one.
type Table[R any] struct{ rows map[int64]R }

// FindEntry returns a row.
//
//cache:getorset entry:{id}
func (t *Table[R]) FindEntry(id int64) (R, error) { return t.rows[id], nil }

// Rates are the same wherever they come from: the type has nothing of its own.
type Rates struct{}

// FindRate returns a rate.
//
//cache:getorset rate:{currency}
func (Rates) FindRate(currency string) (int, error) { return len(currency), nil }

// A Region is a value: two of one name are one source.
type Region struct {
	Name string
	rows *rows
}

// FindPlace returns a place.
//
//cache:getorset place:{id}
func (r Region) FindPlace(id int64) (string, error) {
	r.rows.loads++
	return r.Name + r.rows.texts[id], nil
}

// A Hub has the places of a region, and labels of its own.
type Hub struct {
	inner
	Number int64
}

type inner struct{ *Region }

// FindLabel returns a label.
//
//cache:getorset label:{recv.Number}:{id}
func (h *Hub) FindLabel(id int64) (string, error) { return fmt.Sprint(h.Number, ":", id), nil }
