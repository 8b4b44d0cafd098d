// Package teams keeps users and the teams that they are in. Its tests run what the
// generator makes of a repository that reads, writes and moves rows about.
package teams

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

//go:generate go tool cachegen

// A User is a person in a team.
type User struct {
	ID     int64
	TeamID int64
	Name   string
	Email  string
}

// A UserRepo has the users, in memory. It counts its queries, and remembers which
// ids it was asked for together.
//
//cache:wrap CachedUserRepo namespace=teams ttl=5m grace=6h
type UserRepo struct {
	Queries atomic.Int64

	mu      sync.Mutex // guards the rest
	rows    map[int64]User
	last    int64
	batches [][]int64
	fail    error
}

// NewUserRepo returns a repository of these users.
func NewUserRepo(users ...User) *UserRepo {
	r := &UserRepo{rows: make(map[int64]User)}
	for _, u := range users {
		r.rows[u.ID] = u
		r.last = max(r.last, u.ID)
	}
	return r
}

// Fail makes every query fail with err, or none if it is nil.
func (r *UserRepo) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Batches returns the lists of ids that FindUsers was asked for.
func (r *UserRepo) Batches() [][]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.batches)
}

func (r *UserRepo) query(ctx context.Context, f func() error) error {
	r.Queries.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.fail != nil {
		return r.fail
	}
	return f()
}

// FindUser returns the user with the given id, or sql.ErrNoRows.
//
//cache:getorset user:{id} tag=team:{result.TeamID} timeout=200ms hardtimeout=2s
//cache:with notfound=sql.ErrNoRows notfoundttl=30s
func (r *UserRepo) FindUser(ctx context.Context, id int64) (user *User, err error) {
	err = r.query(ctx, func() error {
		row, ok := r.rows[id]
		if !ok {
			return fmt.Errorf("find user %d: %w", id, sql.ErrNoRows)
		}
		user = &row
		return nil
	})
	return user, err
}

// FindByEmail returns the user of an address, or sql.ErrNoRows. reason is for the
// log of who looks people up.
//
//cache:getorset email:{email} name=UserByEmail tag=team:{result.TeamID} ignore=reason
//cache:with notfound=sql.ErrNoRows notfoundttl=30s
func (r *UserRepo) FindByEmail(ctx context.Context, email, reason string) (user *User, err error) {
	err = r.query(ctx, func() error {
		for _, row := range r.rows {
			if row.Email == email {
				user = &row
				return nil
			}
		}
		return fmt.Errorf("find user of %s: %w", email, sql.ErrNoRows)
	})
	return user, err
}

// FindUsers returns the users that exist among ids.
//
//cache:batch FindUser(ids)
func (r *UserRepo) FindUsers(ctx context.Context, ids []int64) (map[int64]*User, error) {
	users := make(map[int64]*User)
	err := r.query(ctx, func() error {
		r.batches = append(r.batches, slices.Sorted(slices.Values(ids)))
		for _, id := range ids {
			if row, ok := r.rows[id]; ok {
				users[id] = &row
			}
		}
		return nil
	})
	return users, err
}

// ListMembers returns the users of a team in the order of their ids.
//
//cache:getorset members:{teamID} tag=team:{teamID}
func (r *UserRepo) ListMembers(ctx context.Context, teamID int64) (members []User, err error) {
	err = r.query(ctx, func() error {
		for _, row := range r.rows {
			if row.TeamID == teamID {
				members = append(members, row)
			}
		}
		slices.SortFunc(members, func(a, b User) int { return int(a.ID - b.ID) })
		return nil
	})
	return members, err
}
