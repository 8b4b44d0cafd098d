package users

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// UserRepo reads and writes users and teams in a database.
//
//cache:wrap CachedUserRepo namespace=users ttl=5m grace=6h
type UserRepo struct {
	db      executor
	queries *atomic.Int64
}

// An executor is a database or a transaction.
type executor interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// NewUserRepo works on db, which [Setup] has prepared. db stays the caller's.
func NewUserRepo(db *sql.DB) *UserRepo { return &UserRepo{db, new(atomic.Int64)} }

// WithTx returns a repository that works in tx. [CachedUserRepo] has this method as
// well: what is changed in the transaction is changed in the cache when it is
// committed.
func (r *UserRepo) WithTx(tx *sql.Tx) *UserRepo { return &UserRepo{tx, r.queries} }

// Queries returns how many statements have been sent to the database: what the
// cache is there to save.
func (r *UserRepo) Queries() int64 { return r.queries.Load() }

// FindUser returns the user with the given id, or [ErrNotFound].
//
// The cached user carries the name of its team, so the entry belongs to the team
// as well: the tag lets RenameTeam and MoveTeam find it.
//
//cache:getorset user:{id} tag=team:{result.TeamID} timeout=200ms hardtimeout=10s
func (r *UserRepo) FindUser(ctx context.Context, id int64) (*User, error) {
	u := &User{ID: id}
	err := r.row(ctx, `
		SELECT u.name, u.team_id, t.name, u.created
		FROM users u JOIN teams t ON t.id = u.team_id
		WHERE u.id = ?`, id).Scan(&u.Name, &u.TeamID, &u.Team, &u.Created)
	if err != nil {
		return nil, fmt.Errorf("find user %d: %w", id, notFound(err))
	}
	return u, nil
}

// FindTeam returns the team with the given id, or [ErrNotFound].
//
//cache:getorset team:{id} tag=team:{id}
func (r *UserRepo) FindTeam(ctx context.Context, id int64) (*Team, error) {
	t := &Team{ID: id}
	err := r.row(ctx, `
		SELECT name, (SELECT count(*) FROM users WHERE team_id = teams.id)
		FROM teams WHERE id = ?`, id).Scan(&t.Name, &t.Users)
	if err != nil {
		return nil, fmt.Errorf("find team %d: %w", id, notFound(err))
	}
	return t, nil
}

// Create stores a new user. The cache has it at once; the team's entry, which
// counts its users, is wrong from here on.
//
//cache:set FindUser(result.ID)
//cache:delete FindTeam(teamID)
func (r *UserRepo) Create(ctx context.Context, name string, teamID int64) (*User, error) {
	u := &User{Name: name, TeamID: teamID, Created: time.Now().UTC().Truncate(time.Second)}
	err := r.row(ctx, `
		INSERT INTO users (name, team_id, created)
		SELECT ?, id, ? FROM teams WHERE id = ?
		RETURNING id, (SELECT name FROM teams WHERE id = team_id)`,
		name, u.Created, teamID).Scan(&u.ID, &u.Team)
	if err != nil {
		return nil, fmt.Errorf("create user in team %d: %w", teamID, notFound(err))
	}
	return u, nil
}

// Rename changes the name of one user.
//
//cache:delete FindUser(id)
func (r *UserRepo) Rename(ctx context.Context, id int64, name string) error {
	if err := r.update(ctx, `UPDATE users SET name = ? WHERE id = ?`, name, id); err != nil {
		return fmt.Errorf("rename user %d: %w", id, err)
	}
	return nil
}

// RenameTeam changes the name of a team. Every cached user of the team carries
// it, however many there are: one tag names them all.
//
//cache:delete tag=team:{id}
func (r *UserRepo) RenameTeam(ctx context.Context, id int64, name string) error {
	if err := r.update(ctx, `UPDATE teams SET name = ? WHERE id = ?`, name, id); err != nil {
		return fmt.Errorf("rename team %d: %w", id, err)
	}
	return nil
}

// MoveTeam moves everyone of one team to another.
//
//cache:delete tag=team:{from} tag=team:{to}
func (r *UserRepo) MoveTeam(ctx context.Context, from, to int64) error {
	err := r.update(ctx, `
		UPDATE users SET team_id = ?1
		WHERE team_id = ?2 AND EXISTS (SELECT 1 FROM teams WHERE id = ?1)`, to, from)
	if err != nil {
		return fmt.Errorf("move team %d to %d: %w", from, to, err)
	}
	return nil
}

func (r *UserRepo) row(ctx context.Context, query string, args ...any) *sql.Row {
	r.queries.Add(1)
	return r.db.QueryRowContext(ctx, query, args...)
}

// update runs a statement that has to change at least one row.
func (r *UserRepo) update(ctx context.Context, statement string, args ...any) error {
	r.queries.Add(1)
	result, err := r.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
