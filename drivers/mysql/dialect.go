package mysql

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cachegen/cachegen/drivers/internal/sqlbase"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

var dialect = sqltable.Dialect{
	Dialect: sqlbase.Dialect{
		Name:     "mysql",
		Quote:    "`",
		MaxTable: 64,
		Busy:     busy,
		Cut:      cut,
		Answered: answered,
		TooLarge: tooLarge,
	},
	// UNIX_TIMESTAMP depends on the session's time zone, and is an hour wrong when the
	// zone changes from summer time.
	Now: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
	// Together with the hash less than 767 bytes, the index limit of old row formats.
	MaxKey:         512,
	OnDuplicateKey: true,
	MaxStatement:   "SELECT @@max_allowed_packet",
	Schema:         schema,
	// Columns of text ignore case, a table without the primary key stores a key twice,
	// and some server settings truncate long values silently.
	Columns: "SHOW COLUMNS FROM %s",
	Fit: map[string]*regexp.Regexp{
		"name": regexp.MustCompile(`^varbinary\(544\) NO PRI `), "rest": long, "value": long, "lease": long,
	},
	Identity: []string{
		identity("@@server_uuid", "performance_schema"),                                 // MySQL
		identity("@@hostname, @@port, @@server_id", "information_schema.global_status"), // MariaDB
		"SELECT CONCAT_WS(' ', @@hostname, @@port, @@server_id)",
	},
	Untold: untold,
}

// identity is a query for what changes when a server is started, or another one takes its place.
// The time of the start is exact: both times that it is made of are those of the statement's
// begin, in whole seconds.
func identity(names, status string) string {
	return "SELECT CONCAT_WS(' ', " + names + ", UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS SIGNED)) FROM " +
		status + " WHERE VARIABLE_NAME = 'Uptime'"
}

// untold reports a missing variable (1193), table (1109, 1146, 3167), column (1054) or database
// (1049), or a missing right (1044, 1142, 1143, 1227).
func untold(err error) bool {
	switch code(err) {
	case "1193", "1109", "1146", "3167", "1054", "1049", "1044", "1142", "1143", "1227":
		return true
	}
	return false
}

func schema(table string) []string {
	return []string{fmt.Sprintf("CREATE TABLE IF NOT EXISTS `%s`"+` (
	name varbinary(544) NOT NULL PRIMARY KEY,
	rest longblob,
	value longblob NOT NULL,
	expires bigint NOT NULL,
	lease longblob,
	lease_until bigint NOT NULL DEFAULT 0,
	mark bigint NOT NULL DEFAULT 0,
	INDEX (expires)
) ENGINE = InnoDB`, table)}
}

var long = regexp.MustCompile("^longblob ")

// number finds the error number in the text: the field that holds it can be read only by
// packages that import the client library.
var number = regexp.MustCompile(`Error (\d+)\b`)

// busy reports a deadlock (1213) or a row that has changed since the transaction read it
// (1020). The server has rolled the statement or transaction back.
func busy(err error) bool {
	n := code(err)
	return n == "1213" || n == "1020"
}

// code returns the error number of the server; empty if err has none.
func code(err error) string {
	found := number.FindStringSubmatch(err.Error())
	if found == nil {
		return ""
	}
	return found[1]
}

// cut reports that the server has ended the session: it shuts down (1053), the session was
// killed (1927), or it was idle for too long (4031). It has not executed the statement.
func cut(err error) bool {
	n := code(err)
	return n == "1053" || n == "1927" || n == "4031"
}

// answered reports an error number of the server, but for those of a connection: too many
// of them (1040, 1203, 1226), a blocked host (1129), the network (1158 to 1161), the end of
// a session, and a statement that took too long (1969, 3024).
func answered(err error) bool {
	switch code(err) {
	case "", "1040", "1203", "1226", "1129", "1158", "1159", "1160", "1161", "1969", "3024":
		return false
	}
	return !cut(err)
}

// tooLarge reports a statement that is beyond max_allowed_packet or max_long_data_size of
// the server, or beyond the client library's own limit.
func tooLarge(err error) bool {
	text := err.Error()
	return strings.Contains(text, "max_allowed_packet") || strings.Contains(text, "max_long_data_size") ||
		strings.Contains(text, "packet for query is too large")
}
