// Package transactions has methods that bind their type to a database transaction, in each form that
// their result can have.
package transactions

import (
	"context"
	"database/sql"
)

type Account struct{ ID int64 }

// Accounts is returned as a pointer, which the wrapper holds.
type Accounts struct{ tx *sql.Tx }

func (a *Accounts) FindAccount(ctx context.Context, id int64) (*Account, error) { return nil, nil }

func (a *Accounts) Pay(ctx context.Context, from, to int64) error { return nil }

func (a *Accounts) WithTx(tx *sql.Tx) *Accounts { return &Accounts{tx: tx} }

// A Ledger is what some know of accounts.
type Ledger interface {
	Pay(ctx context.Context, from, to int64) error
	InTransaction(ctx context.Context, isolation sql.IsolationLevel) (Ledger, error)
}

// InTransaction returns an interface, or an error, and its context is called like a wrapper's
// variable.
func (a *Accounts) InTransaction(inTx context.Context, isolation sql.IsolationLevel) (Ledger, error) {
	return a, nil
}

// Rates is held as a value, and returned as a pointer. It has no writer.
type Rates struct{ base string }

func (r Rates) FindRate(ctx context.Context, id int64) (Account, error) { return Account{}, nil }

func (r Rates) WithTx(tx *sql.Tx) *Rates { return &r }

// Desk is held as a pointer, and returned as a value. It caches nothing.
type Desk struct{ base string }

func (d *Desk) Close(ctx context.Context, id int64) error { return nil }

func (d *Desk) WithTx(tx *sql.Tx) Desk { return *d }

func Transfer(ctx context.Context, tx *sql.Tx, id int64) error { return nil }
