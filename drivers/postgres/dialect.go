package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

var dialect = sqltable.Dialect{
	Dialect: sqlbase.Dialect{
		Name:     "postgres",
		Quote:    `"`,
		MaxTable: 63 - len("_expires"),
		// Two sessions that execute CREATE … IF NOT EXISTS at the same time can both fail.
		CreateLock: "SELECT pg_advisory_xact_lock(7234017283807667300)",
		Busy:       busy,
		Cut:        cut,
		Answered:   answered,
		TooLarge:   tooLarge,
	},
	Numbered: true,
	// Unlike clock_timestamp it is constant to the planner, and unlike now it advances
	// within a transaction.
	Now:          "floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint",
	MaxKey:       512,
	UpsertInWith: true,
	// A message to the server has at most a gigabyte, and some client libraries send two
	// characters for a byte.
	MaxItem: 256 << 20,
	Schema:  schema,
	// Columns of text sort by collation, and a prefix would miss keys.
	Columns: "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0",
	Fit:     map[string]*regexp.Regexp{"name": binary, "rest": binary, "value": binary, "lease": binary},
	Identity: []string{
		identity("(SELECT system_identifier FROM pg_control_system()), ", timeline),
		identity("", timeline),
		identity("", "pg_is_in_recovery()"), // before PostgreSQL 10
	},
	Untold: untold,
}

// identity is a query for what changes when a server is started, or another one takes its place.
//
// A server that does not wait for the disk can lose commits without a new start, when one of its
// processes has crashed. Its statistics begin anew then. They may do so for other reasons, and are
// asked for only if that can happen.
func identity(system, history string) string {
	return "SELECT concat_ws(' ', " + system + "floor(extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint, " + history + `,
	CASE WHEN current_setting('synchronous_commit') = 'off'
	THEN (SELECT floor(extract(epoch FROM stats_reset) * 1000)::bigint FROM pg_stat_bgwriter) END)`
}

// timeline changes when a standby becomes the primary, at once: that of the last checkpoint, which
// pg_control_checkpoint has, changes later.
const timeline = "CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"

// untold reports a missing right (42501), function (42883), table (42P01) or column (42703), or
// what the server does not do (class 0A) or not now (class 55).
func untold(err error) bool {
	s := state(err)
	return strings.HasPrefix(s, "42") || strings.HasPrefix(s, "0A") || strings.HasPrefix(s, "55")
}

func schema(table string) []string {
	return []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS "%s" (
	name bytea NOT NULL PRIMARY KEY,
	rest bytea,
	value bytea NOT NULL,
	expires bigint NOT NULL,
	lease bytea,
	lease_until bigint NOT NULL DEFAULT 0
)`, table),
		fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_expires" ON "%[1]s" (expires)`, table),
	}
}

var binary = regexp.MustCompile("^bytea$")

// state returns the SQLSTATE of err, which the errors of both pgx and pq have.
func state(err error) string {
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return coded.SQLState()
	}
	return ""
}

// busy reports a serialization failure (40001) or a deadlock (40P01). The server has
// rolled the statement back.
func busy(err error) bool {
	s := state(err)
	return s == "40001" || s == "40P01"
}

// cut reports that the server has ended the session: it was terminated (57P01), another
// session has crashed (57P02), or it was idle for too long (57P05). The server says so in
// place of an answer to the statement, which it has not executed, or has rolled back.
func cut(err error) bool {
	s := state(err)
	return s == "57P01" || s == "57P02" || s == "57P05"
}

// answered reports an error with a SQLSTATE, but for those of a connection (class 08, and
// 53300: too many of them) and of an intervention such as a shutdown or a timeout (57).
func answered(err error) bool {
	s := state(err)
	return s != "" && s != "53300" && !strings.HasPrefix(s, "08") && !strings.HasPrefix(s, "57")
}

// tooLarge reports "program limit exceeded" (class 54).
func tooLarge(err error) bool { return strings.HasPrefix(state(err), "54") }
