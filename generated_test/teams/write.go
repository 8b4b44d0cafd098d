package teams

import (
	"context"
	"database/sql"
	"fmt"
)

// Create adds a user to a team. The cache has it at once.
//
//cache:set FindUser(result.ID) FindByEmail(email)
//cache:delete ListMembers(teamID)
func (r *UserRepo) Create(ctx context.Context, teamID int64, name, email string) (user *User, err error) {
	err = r.query(ctx, func() error {
		r.last++
		user = &User{ID: r.last, TeamID: teamID, Name: name, Email: email}
		r.rows[user.ID] = *user
		return nil
	})
	return user, err
}

// Rename changes the name of one user, and returns the user as it was.
//
//cache:delete FindUser(id) FindByEmail(old.Email) ListMembers(old.TeamID)
func (r *UserRepo) Rename(ctx context.Context, id int64, name string) (old User, err error) {
	err = r.change(ctx, id, func(u *User) { old, u.Name = *u, name })
	return old, err
}

// Touch changes the name of one user where a stale one may be shown for a while.
//
//cache:expire FindUser(id)
func (r *UserRepo) Touch(ctx context.Context, id int64, name string) error {
	return r.change(ctx, id, func(u *User) { u.Name = name })
}

func (r *UserRepo) change(ctx context.Context, id int64, f func(*User)) error {
	return r.query(ctx, func() error {
		row, ok := r.rows[id]
		if !ok {
			return fmt.Errorf("change user %d: %w", id, sql.ErrNoRows)
		}
		f(&row)
		r.rows[id] = row
		return nil
	})
}

// MoveTeam moves everyone of one team to another.
//
//cache:delete tag=team:{from} tag=team:{to}
func (r *UserRepo) MoveTeam(ctx context.Context, from, to int64) error {
	return r.query(ctx, func() error {
		for id, row := range r.rows {
			if row.TeamID == from {
				row.TeamID = to
				r.rows[id] = row
			}
		}
		return nil
	})
}

// Remove deletes users, and returns how many there were.
//
//cache:delete FindUser(ids...)
func (r *UserRepo) Remove(ctx context.Context, ids ...int64) (removed int, err error) {
	err = r.query(ctx, func() error {
		for _, id := range ids {
			if _, ok := r.rows[id]; ok {
				removed++
			}
			delete(r.rows, id)
		}
		return nil
	})
	return removed, err
}

// Import replaces all users.
//
//cache:clear
func (r *UserRepo) Import(ctx context.Context, users []User) error {
	return r.query(ctx, func() error {
		clear(r.rows)
		for _, u := range users {
			r.rows[u.ID] = u
			r.last = max(r.last, u.ID)
		}
		return nil
	})
}
