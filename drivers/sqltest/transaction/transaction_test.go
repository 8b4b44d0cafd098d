package transaction_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

type cache = runtime.Cache[int, int]

// newCache returns a cache of the numbers.
func newCache(t *testing.T) *cache {
	t.Helper()
	store, err := runtime.NewStore("test", runtime.L1(memory.New(memory.Options{})), runtime.TTL(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c, err := runtime.NewCache[int, int](store, "numbers")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// get reads a number through the cache, with a read function of a database or a transaction.
func get(ctx context.Context, c *cache, id int, read func(context.Context, int) (int, error)) (int, error) {
	return c.GetOrSet(ctx, id, func(ctx context.Context) (int, error) { return read(ctx, id) })
}

// is fails if a number, read through the cache, is another one.
func is(ctx context.Context, t *testing.T, c *cache, id int, read func(context.Context, int) (int, error), want int) {
	t.Helper()
	if v, err := get(ctx, c, id, read); err != nil || v != want {
		t.Errorf("number %d is %d, %v, want %d", id, v, err, want)
	}
}

// cached fails if a number is in the cache although it should not be, or the other way round.
func cached(t *testing.T, c *cache, id int, want bool) {
	t.Helper()
	if has, err := c.Has(context.Background(), id); err != nil || has != want {
		t.Errorf("number %d is cached: %v, %v, want %v", id, has, err, want)
	}
}

var errBody = errors.New("the body has failed")

// race R6: others get the old row until the commit, whatever they do meanwhile, and the new one
// afterwards; inside, the transaction sees what it has written.
func TestACommitIsFollowedByTheInvalidation(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		c, run := newCache(t), open(d.server)
		is(t.Context(), t, c, 1, d.read, 1)
		err := run(t.Context(), func(ctx context.Context, x tx) error {
			if err := errors.Join(x.write(ctx, 1, 10), c.Delete(ctx, 1), x.write(ctx, 2, 20), c.Set(ctx, 2, 20)); err != nil {
				return err
			}
			is(ctx, t, c, 1, x.read, 10)
			is(t.Context(), t, c, 1, d.read, 1)
			is(t.Context(), t, c, 2, d.read, 2)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		cached(t, c, 1, false)
		cached(t, c, 2, true)
		is(t.Context(), t, c, 1, d.read, 10)
		is(t.Context(), t, c, 2, d.read, 20)
	})
}

func TestARollbackDropsWhatWasCollected(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		c, run := newCache(t), open(d.server)
		is(t.Context(), t, c, 1, d.read, 1)
		change := func(ctx context.Context, x tx) {
			if err := errors.Join(x.write(ctx, 1, 10), c.Delete(ctx, 1), c.Set(ctx, 2, 20)); err != nil {
				t.Error(err)
			}
			is(ctx, t, c, 1, x.read, 10)
		}
		if err := run(t.Context(), func(ctx context.Context, x tx) error { change(ctx, x); return errBody }); err != errBody {
			t.Error(err)
		}
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Error("panicked with", p)
				}
			}()
			_ = run(t.Context(), func(ctx context.Context, x tx) error { change(ctx, x); panic("boom") })
		}()
		cached(t, c, 1, true)
		cached(t, c, 2, false)
		is(t.Context(), t, c, 1, d.read, 1)
		is(t.Context(), t, c, 2, d.read, 2)
	})
}

// A constraint that is checked at the end makes the commit fail. Postgres says that it has rolled
// back, and what was collected is dropped. What SQLite says has no SQLSTATE: the key is deleted.
func TestACommitThatFails(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		if !d.deferrable {
			t.Skip("the database checks each statement")
		}
		c, run := newCache(t), open(d.server)
		is(t.Context(), t, c, 1, d.read, 1)
		err := run(t.Context(), func(ctx context.Context, x tx) error {
			return errors.Join(x.exec(ctx, "UPDATE numbers SET v = 10, parent = 99 WHERE id = 1"), c.Delete(ctx, 1), c.Set(ctx, 2, 20))
		})
		if err == nil {
			t.Error("the commit has succeeded")
		}
		cached(t, c, 1, d.server != "")
		cached(t, c, 2, false)
		is(t.Context(), t, c, 1, d.read, 1)
		if err := run(t.Context(), func(ctx context.Context, x tx) error { return errors.Join(x.write(ctx, 1, 11), c.Delete(ctx, 1)) }); err != nil {
			t.Error("the next one:", err)
		}
		is(t.Context(), t, c, 1, d.read, 11)
	})
}

// The answer of a commit is lost with the connection: the transaction was committed, and the client
// cannot know. Values are not set.
func TestACommitWhoseAnswerIsLost(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		if d.server == "" {
			t.Skip("there is no connection")
		}
		proxy := servers.NewProxy(t, d.server)
		c, run := newCache(t), open(proxy.Addr())
		is(t.Context(), t, c, 1, d.read, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := run(ctx, func(ctx context.Context, x tx) error {
			if err := errors.Join(x.write(ctx, 1, 10), c.Delete(ctx, 1), x.write(ctx, 2, 20), c.Set(ctx, 2, 20)); err != nil {
				return err
			}
			proxy.LoseAnswer(0, nil)
			return nil
		})
		if lost := proxy.Lost(); err == nil || !lost {
			t.Fatalf("lost: %v; %v", lost, err)
		}
		cached(t, c, 1, false)
		cached(t, c, 2, false)
		is(t.Context(), t, c, 1, d.read, 10)
		is(t.Context(), t, c, 2, d.read, 20)
	})
}

// A connection that the server has ended before the commit: nothing was committed, and the client
// cannot know that, either.
func TestACommitOnAConnectionThatWasEnded(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		end := map[string]string{"postgres": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}[d.kind]
		if end == "" {
			t.Skip("there is no connection")
		}
		c, run := newCache(t), open(d.server)
		is(t.Context(), t, c, 1, d.read, 1)
		err := run(t.Context(), func(ctx context.Context, x tx) error {
			id, err := x.query(ctx, end)
			if err := errors.Join(err, x.write(ctx, 1, 10), c.Delete(ctx, 1), c.Set(ctx, 2, 20)); err != nil {
				return err
			}
			kill := fmt.Sprintf("KILL %d", id)
			if d.kind == "postgres" {
				kill = fmt.Sprintf("SELECT pg_terminate_backend(%d)", id)
			}
			_, err = d.admin.ExecContext(ctx, kill)
			time.Sleep(100 * time.Millisecond) // the server ends it after it has answered
			return err
		})
		if err == nil {
			t.Fatal("the commit has succeeded")
		}
		cached(t, c, 1, false)
		cached(t, c, 2, false)
		is(t.Context(), t, c, 1, d.read, 1)
		is(t.Context(), t, c, 2, d.read, 2)
	})
}

// A savepoint's changes wait for its transaction, and are dropped with either.
func TestASavepointIsAPartOfItsTransaction(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		for _, outer := range []error{errBody, nil} {
			c, run := newCache(t), open(d.server)
			is(t.Context(), t, c, 1, d.read, 1)
			err := run(t.Context(), func(ctx context.Context, x tx) error {
				if x.inside == nil {
					t.Skip("the library has no savepoints")
				}
				if err := x.inside(ctx, func(ctx context.Context, x tx) error {
					return errors.Join(x.write(ctx, 1, 10), c.Delete(ctx, 1))
				}); err != nil {
					return err
				}
				cached(t, c, 1, true)
				is(ctx, t, c, 1, x.read, 10)
				is(t.Context(), t, c, 1, d.read, 1)
				is(t.Context(), t, c, 2, d.read, 2)
				if err := x.inside(ctx, func(ctx context.Context, x tx) error {
					return errors.Join(x.write(ctx, 2, 20), c.Delete(ctx, 2), errBody)
				}); !errors.Is(err, errBody) {
					t.Error(err)
				}
				is(ctx, t, c, 2, x.read, 2)
				return outer
			})
			if !errors.Is(err, outer) {
				t.Error(err)
			}
			cached(t, c, 1, outer != nil)
			cached(t, c, 2, true)
			is(t.Context(), t, c, 1, d.read, map[error]int{errBody: 1, nil: 10}[outer])
		}
	})
}

// serializable are the ways in which transactions are serializable.
var serializable = map[string]func(t *testing.T) (*database, runner){
	"SQL Postgres": func(t *testing.T) (*database, runner) {
		d := postgresDatabase(t, "")
		return d, openSQL("pgx", &sql.TxOptions{Isolation: sql.LevelSerializable})(t, d.at(d.server))
	},
	"pgx": func(t *testing.T) (*database, runner) {
		d := postgresDatabase(t, "")
		pool := openPool(t, d.at(d.server))
		return d, func(ctx context.Context, body func(context.Context, tx) error) error {
			return transaction.PGXWith(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(ctx context.Context, x pgx.Tx) error { return body(ctx, pgxTx(x)) })
		}
	},
	"SQL MariaDB": func(t *testing.T) (*database, runner) {
		d := mariaDatabase(t, "")
		return d, openSQL("mysql", &sql.TxOptions{Isolation: sql.LevelSerializable})(t, d.at(d.server))
	},
	"SQL SQLite": func(t *testing.T) (*database, runner) {
		d := sqliteDatabase(t, "sqlite")
		return d, openSQL("sqlite", nil)(t, d.at(""))
	},
}

// race R6: many transactions count one number up and are tried again when they collide, while
// others read it. Who has committed reads no less than what it has committed.
func TestNobodyReadsLessThanWhatItHasCommitted(t *testing.T) {
	const writers, each = 4, 10
	for name, open := range serializable {
		t.Run(name, func(t *testing.T) {
			d, run := open(t)
			c := newCache(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var writing, reading sync.WaitGroup
			done := make(chan struct{})
			for range 3 {
				reading.Go(func() {
					last := 0
					for {
						select {
						case <-done:
							return
						default:
						}
						v, err := get(ctx, c, 1, d.read)
						if err != nil {
							t.Error(err)
							return
						}
						last = max(last, v)
					}
				})
			}
			attempts := 0
			var mu sync.Mutex
			for range writers {
				writing.Go(func() {
					for range each {
						wrote := 0
						for {
							mu.Lock()
							attempts++
							mu.Unlock()
							err := run(ctx, func(ctx context.Context, x tx) error {
								v, err := x.read(ctx, 1)
								if err != nil {
									return err
								}
								wrote = v + 1
								return errors.Join(x.write(ctx, 1, wrote), c.Delete(ctx, 1))
							})
							var failed *runtime.InvalidationError
							if err == nil || errors.As(err, &failed) {
								break
							}
							if ctx.Err() != nil {
								t.Error(err)
								return
							}
						}
						if v, err := get(ctx, c, 1, d.read); err != nil || v < wrote {
							t.Errorf("read %d, %v, after a commit of %d", v, err, wrote)
						}
					}
				})
			}
			writing.Wait()
			close(done)
			reading.Wait()
			is(t.Context(), t, c, 1, d.read, 1+writers*each)
			t.Logf("%d transactions in %d attempts", writers*each, attempts)
		})
	}
}
