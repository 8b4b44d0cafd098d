// Package users is the tour's example: a repository, a loader without a receiver
// and functions that invalidate.
package users

import (
	"context"
	"database/sql"
)

type User struct {
	ID, TeamID int64
	Name       string
}

type Config struct{ Text string }

// UserRepo reads users from the database.
type UserRepo struct{ db *sql.DB }

func (r *UserRepo) FindUser(ctx context.Context, id int64) (*User, error) {
	user := &User{ID: id}
	return user, r.db.QueryRowContext(ctx, "SELECT name, team FROM users WHERE id = ?", id).Scan(&user.Name, &user.TeamID)
}

func (r *UserRepo) Rename(ctx context.Context, id int64, name string) error { return nil }

func (r *UserRepo) Create(ctx context.Context, name string) (*User, error) { return nil, nil }

func (r *UserRepo) MoveTeam(ctx context.Context, from, to int64) error { return nil }

func LoadConfig(ctx context.Context, name string) (Config, error) { return Config{}, nil }

func SaveConfig(ctx context.Context, name string, config Config) error { return nil }
