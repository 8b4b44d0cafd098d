package demo

import (
	"context"
	"database/sql"
	"path/filepath"

	"github.com/cachegen/cachegen/example/service"
	"github.com/cachegen/cachegen/example/users"
)

// A database is the demo's own connection to the service's database: to see what
// is true, to change it behind the cache's back, and to take it away.
type database struct{ *sql.DB }

func openDatabase(dir string) (database, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, service.DBFile)+"?_pragma=busy_timeout(10000)")
	return database{db}, err
}

// users returns the rows that the service should show.
func (d database) users(ctx context.Context, ids []int64) ([]users.User, error) {
	repo := users.NewUserRepo(d.DB) // not the service's: its queries are not counted
	rows := make([]users.User, len(ids))
	for i, id := range ids {
		u, err := repo.FindUser(ctx, id)
		if err != nil {
			return nil, err
		}
		rows[i] = *u
	}
	return rows, nil
}

func (d database) user(ctx context.Context, id int64) (users.User, error) {
	rows, err := d.users(ctx, []int64{id})
	if err != nil {
		return users.User{}, err
	}
	return rows[0], nil
}

func (d database) team(ctx context.Context, id int64) (users.Team, error) {
	team, err := users.NewUserRepo(d.DB).FindTeam(ctx, id)
	if err != nil {
		return users.Team{}, err
	}
	return *team, nil
}

// takeAway leaves the service without its tables: every statement fails.
func (d database) takeAway(ctx context.Context) error {
	_, err := d.ExecContext(ctx, `ALTER TABLE users RENAME TO users_away; ALTER TABLE teams RENAME TO teams_away`)
	return err
}

// bringBack undoes takeAway.
func (d database) bringBack(ctx context.Context) error {
	_, err := d.ExecContext(ctx, `ALTER TABLE users_away RENAME TO users; ALTER TABLE teams_away RENAME TO teams`)
	return err
}

// hold locks the database: statements of the service wait until release is called.
func (d database) hold(ctx context.Context) (release func() error, err error) {
	c, err := d.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(ctx, `BEGIN EXCLUSIVE`); err != nil {
		c.Close()
		return nil, err
	}
	return func() error {
		defer c.Close()
		_, err := c.ExecContext(ctx, `ROLLBACK`)
		return err
	}, nil
}
