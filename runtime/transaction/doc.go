// Package transaction runs database transactions that change cached data. What is changed in
// caches with the context of the transaction is held until the database has committed, and is
// dropped if it has rolled back: see [runtime.Collect].
//
//	err := transaction.SQL(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
//		if _, err := tx.ExecContext(ctx, "UPDATE users SET name = $1 WHERE id = $2", name, id); err != nil {
//			return err
//		}
//		return users.DeleteCachedUser(ctx, id) // when the transaction has been committed
//	})
//
// There is a function for each library: [SQL] for database/sql, [SQLX], [PGX], [GORM], [Bun] and
// [Ent]. They are written for the methods of these libraries, and import none of them. Each begins
// a transaction, calls a function with it, and commits, or rolls back if the function returns an
// error or panics. The function has to use the context that it is given, for caches as for the
// database, and has to leave commit and rollback to the package. It must not keep the transaction.
//
// # Errors
//
// If the function fails, the transaction is rolled back, and its error is returned as it is. If
// the commit fails, its error is returned as it is, so that a loop that tries a transaction again
// after a serialization failure works as before: what an attempt has collected ends with it.
//
// If the transaction has been committed, and caches were not reached everywhere, the error is a
// [runtime.InvalidationError], unless [runtime.InvalidationErrors] says that it is logged: the
// data has changed, and must not be written again.
//
// # The outbox
//
// If a store has a [runtime.Outbox], what was collected for it is written into the outbox when the
// function has returned nil, and before the commit: so it is carried out although the process dies
// after the commit. There is nothing more to do than to give the store the outbox. If it cannot be
// written, the transaction is rolled back, and the error begins with "cachegen: write the outbox".
//
// The transaction has to be one of the database that has the outbox. From a transaction nobody can
// tell which database it is of. In another one there is no such table, which is an error; but if that
// one has such a table, too, what is written there is lost when the process dies. An outbox on
// PostgreSQL or SQLite that has not made its table yet makes it in the first transaction, in whatever
// database that is: make the table by a migration, and tell the outbox so (SkipCreate), where programs
// have several databases.
//
// The statement is executed by the transaction's method ExecContext, for pgx by Exec, and for GORM
// by the connection in its field Statement, past its hooks. What ent has generated has that method
// with --feature sql/execquery only. A transaction without it is an error if there is something to
// write.
//
// # When a commit fails
//
// If the database says that it has rolled back, which an SQLSTATE of class 23 or 40 does, what was
// collected is dropped. After any other error nobody knows whether the transaction was committed:
// the connection may have been lost before the answer came. Then everything that was collected is
// deleted, which is right in either case, and no value is stored that was set: see
// [runtime.Collected.Unclear]. The SQLSTATE is that of an error with a method SQLState, as those of
// pgx and pq have.
//
// # A transaction inside another
//
// If a function of this package is called inside the transaction of another one, and is given
// that transaction, as for a savepoint of pgx, GORM or Bun, it is a part of it: what it has
// collected waits for the end of the outer one, and is dropped if either is rolled back. One on an
// *sql.DB or *sql.Conn commits by itself, and what it has collected is carried out then. Of
// anything else nobody knows which of the two it is: what was collected is deleted after its commit,
// and once more after that of the outer one.
//
// If a type has a method that binds it to a transaction, as the WithTx that sqlc writes, its generated
// wrapper has that method, too: users.WithTx(tx).Rename(ctx, id, name). What it returns neither reads nor
// fills a cache; see the documentation of command cachegen.
//
// For transactions that a program begins in another way there are [runtime.Collect] and [Settle].
package transaction
