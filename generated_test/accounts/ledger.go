package accounts

import (
	"context"
	"database/sql"
)

// A Ledger is what a service knows of accounts.
type Ledger interface {
	Balance(ctx context.Context, id int64) (int64, error)
	Pay(ctx context.Context, from, to, amount int64) error
	WithTx(tx *sql.Tx) Ledger
}

// A Book is the Ledger of a database.
//
//cache:wrap CachedBook namespace=book
type Book struct{ Queries *Queries }

// Balance returns the balance of an account.
//
//cache:getorset balance:{id} ttl=5m
func (b *Book) Balance(ctx context.Context, id int64) (int64, error) {
	account, err := b.Queries.GetAccount(ctx, id)
	return account.Balance, err
}

// Pay moves an amount from one account to another. It is called inside a transaction.
//
//cache:delete Balance(from) Balance(to) Queries.GetAccount(from) Queries.GetAccount(to)
func (b *Book) Pay(ctx context.Context, from, to, amount int64) error {
	for id, change := range map[int64]int64{from: -amount, to: amount} {
		account, err := b.Queries.GetAccount(ctx, id)
		if err != nil {
			return err
		}
		if err := b.Queries.SetBalance(ctx, id, account.Balance+change); err != nil {
			return err
		}
	}
	return nil
}

// WithTx returns the ledger of a transaction.
func (b *Book) WithTx(tx *sql.Tx) Ledger { return &Book{Queries: b.Queries.WithTx(tx)} }

// Reset changes an account in a transaction that its caller has begun.
//
//cache:delete Queries.GetAccount(id) Book.Balance(id) collect
func Reset(ctx context.Context, tx *sql.Tx, id int64) error {
	return (&Queries{db: tx}).SetBalance(ctx, id, 0)
}
