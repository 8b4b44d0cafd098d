package kill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // "pgx"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // "sqlite"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/postgres/pgxbus"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// childEnv is the environment variable that makes this program a process that is to be killed. It
// has the kind of database, its address, and that of Redis.
const childEnv = "CACHEGEN_KILL_CHILD"

func TestMain(m *testing.M) {
	if where := os.Getenv(childEnv); where != "" {
		kind, rest, _ := strings.Cut(where, " ")
		address, redisAddr, _ := strings.Cut(rest, " ")
		if err := write(kind, address, redisAddr); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

const (
	keys    = 12
	writers = 4
	// poll is short, so that a kill is over soon.
	poll      = 50 * time.Millisecond
	l2Timeout = 250 * time.Millisecond
)

// A process is what each process of the tests has: the one that is killed, and the test itself.
type process struct {
	db     *sql.DB
	stores runtime.Stores
	cache  *runtime.Cache[int, int64]
	close  func()
}

// open opens the store of a process, in which an outbox is optional.
func open(kind, address, redisAddr string, carriesOut bool, options ...runtime.StoreOption) (*process, error) {
	var p process
	var outbox drivers.Outbox
	var err error
	var pool *pgxpool.Pool
	name := "pgx"
	if kind == "sqlite" {
		name = "sqlite"
	}
	if p.db, err = sql.Open(name, address); err != nil {
		return nil, err
	}
	switch {
	case !carriesOut:
	case kind == "sqlite":
		outbox = sqlite.NewOutbox(p.db, sqlite.OutboxOptions{})
	case kind == "notify":
		if pool, err = pgxpool.New(context.Background(), address); err != nil {
			return nil, err
		}
		outbox = pgxbus.NewOutbox(pool, pgxbus.OutboxOptions{})
	default:
		outbox = postgres.NewOutbox(p.db, postgres.OutboxOptions{})
	}
	p.db.SetMaxIdleConns(2 * writers)
	client := goredis.NewClient(&goredis.Options{Addr: redisAddr})
	all := []runtime.StoreOption{
		runtime.L1(memory.New(memory.Options{})), runtime.L2(redis.New(client, redis.Options{})), runtime.Bus(redis.NewBus(client, redis.BusOptions{})),
		runtime.Prefix("app"), runtime.TTL(time.Hour), runtime.L2Timeout(l2Timeout), runtime.OutboxPoll(poll),
	}
	if carriesOut {
		all = append(all, runtime.Outbox(outbox))
	}
	if p.stores, err = runtime.OpenStore("main", append(all, options...)...); err != nil {
		return nil, err
	}
	p.cache, err = runtime.NewCache[int, int64](p.stores.Default(), "versions")
	p.close = func() {
		_ = p.stores.Close(context.Background())
		if pool != nil {
			pool.Close()
		}
		p.db.Close()
		client.Close()
	}
	return &p, err
}

// read reads the version of a row through the cache.
func (p *process) read(ctx context.Context, id int) (int64, error) {
	return p.cache.GetOrSet(ctx, id, func(ctx context.Context) (version int64, err error) {
		return version, p.db.QueryRowContext(ctx, "SELECT version FROM versions WHERE id = "+fmt.Sprint(id)).Scan(&version)
	})
}

// versions returns the versions of all rows, as they are committed.
func (p *process) versions() (versions [keys]int64, err error) {
	rows, err := p.db.Query("SELECT id, version FROM versions")
	if err != nil {
		return versions, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, version int64
		if err := rows.Scan(&id, &version); err != nil {
			return versions, err
		}
		versions[id] = version
	}
	return versions, rows.Err()
}

// increase adds one to the version of a row, in a transaction.
func (p *process) increase(ctx context.Context, id int) error {
	return transaction.SQL(ctx, p.db, nil, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE versions SET version = version + 1 WHERE id = "+fmt.Sprint(id)); err != nil {
			return err
		}
		return p.cache.Delete(ctx, id)
	})
}

// write writes until it is killed. It says when it has begun.
func write(kind, address, redisAddr string) error {
	p, err := open(kind, address, redisAddr, true)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := p.stores.Ready(ctx); err != nil {
		return err
	}
	failed := make(chan error)
	for w := range writers {
		go func() {
			for n := 0; ; n++ {
				// Each writer has rows of its own, so that none waits for another.
				err := p.increase(ctx, rand.IntN(keys/writers)*writers+w)
				var later *runtime.InvalidationError // on a slow machine
				if err != nil && !errors.As(err, &later) {
					failed <- err
					return
				}
				if n == 0 {
					fmt.Println("writing")
				}
			}
		}()
	}
	return <-failed
}
