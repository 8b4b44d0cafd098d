package service

import (
	"context"
	"database/sql"

	"github.com/cachegen/cachegen/runtime/transaction"
)

// Merge moves everyone of one team to another, which gets a new name: both, or
// nothing. Until the commit, other requests see the teams as they were, in the
// cache as in the database. If this process ends between the commit and what has to
// be changed in the cache, another one finds it in the outbox: see kill_test.go.
func (s *Service) Merge(ctx context.Context, from, to int64, name string) error {
	return transaction.SQL(ctx, s.db, nil, func(ctx context.Context, tx *sql.Tx) error {
		return s.merge(ctx, tx, from, to, name)
	})
}

func (s *Service) merge(ctx context.Context, tx *sql.Tx, from, to int64, name string) error {
	repo := s.Users.WithTx(tx)
	if err := repo.MoveTeam(ctx, from, to); err != nil {
		return err
	}
	return repo.RenameTeam(ctx, to, name)
}
