package accounts

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
)

// An Account has a balance.
type Account struct {
	ID, Balance int64
}

// GetAccount returns an account, or sql.ErrNoRows.
//
//cache:getorset account:{id} tag=accounts ttl=5m notfound=sql.ErrNoRows notfoundttl=1m
func (q *Queries) GetAccount(ctx context.Context, id int64) (Account, error) {
	q.Count.Add(1)
	account := Account{ID: id}
	err := q.db.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id = ?", id).Scan(&account.Balance)
	return account, err
}

// ListAccounts returns those of the accounts that there are.
//
//cache:batch GetAccount(ids)
func (q *Queries) ListAccounts(ctx context.Context, ids []int64) (map[int64]Account, error) {
	found := make(map[int64]Account)
	for _, id := range ids {
		switch account, err := q.GetAccount(ctx, id); {
		case err == nil:
			found[id] = account
		case !errors.Is(err, sql.ErrNoRows):
			return nil, err
		}
	}
	return found, nil
}

// SumBalances returns what all accounts have together.
//
//cache:getorset sum tag=accounts ttl=5m
func (q *Queries) SumBalances(ctx context.Context) (sum int64, err error) {
	q.Count.Add(1)
	rows, err := q.db.QueryContext(ctx, "SELECT id, balance FROM accounts ORDER BY id")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var account Account
		if err := rows.Scan(&account.ID, &account.Balance); err != nil {
			return 0, err
		}
		sum += account.Balance
	}
	return sum, rows.Err()
}

// SetBalance changes an account, or makes one.
//
//cache:delete GetAccount(id) Limit(id) tag=accounts
func (q *Queries) SetBalance(ctx context.Context, id, balance int64) error {
	_, err := q.db.ExecContext(ctx, "REPLACE INTO accounts (id, balance) VALUES (?, ?)", id, balance)
	return err
}

// Open opens an account.
//
//cache:set GetAccount(id)
func (q *Queries) Open(ctx context.Context, id int64) (Account, error) {
	return Account{ID: id}, q.SetBalance(ctx, id, 0)
}

// Limits counts how often [Limit] is called.
var Limits atomic.Int64

// Limit is the number of the call: it shows whether the entry is still there.
//
//cache:getorset limit:{id} ttl=5m
func Limit(ctx context.Context, id int64) (int64, error) { return Limits.Add(1), nil }
