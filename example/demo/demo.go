// Package demo drives the example's service over HTTP and shows, line by line,
// what its cache does. Every line is checked: what the service returned against
// the database's rows, how many statements the database has had, and, where the
// line says which tier has answered, how often the second tier was read.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/example/service"
	"github.com/cachegen/cachegen/example/users"
	"github.com/cachegen/cachegen/runtime"
)

// callers is how many requests at once ask for one user that is not cached.
const callers = 10_000

// patience bounds the wait for something that happens in a moment.
const patience = 20 * time.Second

// A Config says what the service runs on.
type Config struct {
	// RedisURL makes two instances of the service that share this Redis. Empty
	// makes one, whose cache outlives it in a SQLite file.
	RedisURL string
}

// Run prints the table to out. If a line does not hold, it is the last one, and Run
// returns an error that says why. What it puts into Redis it removes at the end.
func Run(ctx context.Context, out io.Writer, c Config) (err error) {
	dir, err := os.MkdirTemp("", "cachegen-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{ctx: ctx, config: service.Config{
		Dir:      dir,
		RedisURL: c.RedisURL,
		// A process that is too busy to answer itself for a while must not take the
		// bus for lost, and drop what it has in memory.
		Bus: redis.BusOptions{PingInterval: time.Minute},
		Options: []runtime.StoreOption{
			// Long enough that time passing decides nothing that is checked: what a
			// failed database and other instances cause, the cache has to notice. And
			// memory answers by itself: it looks at the stamps of tags in the second
			// tier once, not every few seconds.
			runtime.GraceBackoff(time.Hour),
			runtime.StampTrust(time.Hour),
			// The table says what goes wrong.
			runtime.Logger(slog.New(slog.DiscardHandler)),
		},
	}}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(); err != nil {
		return err
	}

	t := &table{out: out, count: d.counts}
	t.head(d.about())
	d.tiers(t)
	d.stampede(t)
	d.invalidation(t)
	d.outage(t)
	if t.err == nil {
		fmt.Fprintf(out, footnote, d.shared(), thousands(callers))
	}
	return t.end()
}

const footnote = `
SQL is how many statements the database has had, L2 how often %s was read.
time is what the repository took, without HTTP; of several reads, the median.
Requests go over the loopback interface, but for the %s at once: they are given
to the handler in the process, as they would need more sockets than many systems allow.
"expired by hand" is a call of ExpireCachedUser, so that nobody has to wait for the ttl.
`

// A demo is the service under demonstration.
type demo struct {
	ctx     context.Context
	config  service.Config
	db      database
	redis   *goredis.Client // nil without Redis
	main    *instance
	other   *instance // a second instance; nil without Redis
	retired counts    // of instances that were stopped
}

func (d *demo) open() (err error) {
	if d.config.RedisURL != "" {
		if d.redis, err = openRedis(d.ctx, d.config.RedisURL); err != nil {
			return err
		}
	}
	if d.main, err = start(d.ctx, d.config); err != nil {
		return err
	}
	if d.config.RedisURL != "" {
		if d.other, err = start(d.ctx, d.config); err != nil {
			return err
		}
	}
	d.db, err = openDatabase(d.config.Dir)
	return err
}

func (d *demo) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), patience)
	defer cancel()
	var errs []error
	for _, i := range []*instance{d.main, d.other} {
		if i != nil {
			errs = append(errs, i.stop(ctx))
		}
	}
	if d.db.DB != nil {
		errs = append(errs, d.db.Close())
	}
	if d.redis != nil {
		errs = append(errs, sweep(ctx, d.redis, service.Prefix(d.config.Dir)), d.redis.Close())
	}
	return errors.Join(errs...)
}

// openRedis returns a client of a Redis that answers. The service would start
// without, and serve from memory and the database.
func openRedis(ctx context.Context, url string) (*goredis.Client, error) {
	o, err := goredis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("read REDIS_URL: %w", err)
	}
	client := goredis.NewClient(o)
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("reach Redis at %s: %w", o.Addr, err), client.Close())
	}
	return client, nil
}

// sweep removes the keys with a prefix from Redis.
func sweep(ctx context.Context, client *goredis.Client, prefix string) error {
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := client.Del(ctx, keys.Val()).Err(); err != nil {
			return fmt.Errorf("remove the demo's keys from Redis: %w", err)
		}
	}
	return keys.Err()
}

func (d *demo) about() string {
	if d.config.RedisURL != "" {
		return "Two instances of a service on SQLite, each with its memory, that share Redis and a bus."
	}
	return "A service on SQLite, with its memory and a cache file. (Set REDIS_URL to see two instances share Redis.)"
}

// shared is what the second tier is called in the table.
func (d *demo) shared() string {
	if d.config.RedisURL != "" {
		return "Redis"
	}
	return "the cache file"
}

// restart replaces the main instance by a new one, whose memory is empty.
func (d *demo) restart() error {
	n, err := d.main.counts(d.ctx)
	if err != nil {
		return err
	}
	d.retired = d.retired.plus(n)
	err = d.main.stop(d.ctx)
	d.main = nil
	if err != nil {
		return err
	}
	d.main, err = start(d.ctx, d.config)
	return err
}

func (d *demo) counts() (counts, error) {
	sum := d.retired
	for _, i := range []*instance{d.main, d.other} {
		if i == nil {
			continue
		}
		n, err := i.counts(d.ctx)
		if err != nil {
			return counts{}, err
		}
		sum = sum.plus(n)
	}
	return sum, nil
}

// until calls read until it returns want: news that come over the bus, and loads
// that go on in the background, need a moment.
func (d *demo) until(want users.User, read func() (users.User, error)) (time.Duration, error) {
	began := time.Now()
	pause := time.NewTicker(200 * time.Microsecond)
	defer pause.Stop()
	for {
		got, err := read()
		if err != nil {
			return 0, err
		}
		err = sameUser(got, want)
		if err == nil {
			return time.Since(began), nil
		}
		if time.Since(began) > patience {
			return 0, fmt.Errorf("still after %v: %w", patience, err)
		}
		select {
		case <-pause.C:
		case <-d.ctx.Done():
			return 0, d.ctx.Err()
		}
	}
}
