package users

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const schema = `
CREATE TABLE IF NOT EXISTS teams (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS users (
	id      INTEGER PRIMARY KEY,
	name    TEXT NOT NULL,
	team_id INTEGER NOT NULL REFERENCES teams (id),
	created TIMESTAMP NOT NULL
);
CREATE INDEX IF NOT EXISTS users_team ON users (team_id);`

// Seeded is the number of users that [Setup] puts into the database, with ids
// from 1.
const Seeded = 80

var (
	teams  = []string{"Compilers", "Networks", "Storage", "Graphics"}
	given  = []string{"Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Ken", "Radia", "Tim"}
	family = []string{"Allen", "Hopper", "Knuth", "Liskov", "Lovelace", "Perlman", "Thompson", "Turing"}
)

// Setup creates the tables in db, and the seeded teams and users, where they are
// missing: users 1, 5, 9, … are in team 1, users 2, 6, 10, … in team 2, and so on.
func Setup(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create the tables: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("seed the tables: %w", err)
	}
	defer tx.Rollback()
	if err := seed(ctx, tx); err != nil {
		return fmt.Errorf("seed the tables: %w", err)
	}
	return tx.Commit()
}

// seed leaves alone what is there: several instances set up the same database.
func seed(ctx context.Context, tx *sql.Tx) error {
	for i, name := range teams {
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO teams (id, name) VALUES (?, ?)`, i+1, name); err != nil {
			return err
		}
	}
	created := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	for i := range Seeded {
		name := given[i%len(given)] + " " + family[i/len(given)]
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO users (id, name, team_id, created) VALUES (?, ?, ?, ?)`,
			i+1, name, i%len(teams)+1, created.Add(time.Duration(i)*time.Hour))
		if err != nil {
			return err
		}
	}
	return nil
}
