// Package service serves users and teams as JSON over HTTP.
//
// [Open] in this file is everything that a program does to get a cache: it makes
// the stores and puts them in front of the repository. The handlers, in
// handlers.go, call the repository's methods and do not know of the cache.
package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	goredis "github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the database/sql driver

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/example/users"
	"github.com/cachegen/cachegen/runtime"
)

// DBFile is the name of the database in Config.Dir.
const DBFile = "users.db"

// A Config says where a [Service] keeps its data.
type Config struct {
	// Dir is an existing directory for the database, and for the cache on disk if
	// there is no Redis. Instances with the same Dir are one service.
	Dir string
	// RedisURL, such as redis://127.0.0.1:6379/0, adds Redis as the tier that
	// instances share, and as the bus between them. Empty uses a SQLite file.
	RedisURL string
	// Bus are options of the bus, which Redis is too.
	Bus redis.BusOptions
	// Options are further options of the main store.
	Options []runtime.StoreOption
}

// A Service is one instance: it answers HTTP requests from its own memory, from
// what it shares with other instances, or from the database.
type Service struct {
	Users  *users.CachedUserRepo
	Stores runtime.Stores

	db      *sql.DB
	mux     *http.ServeMux
	shared  *counted       // the second tier of the main store
	closers []func() error // databases and clients, in the order they were opened
}

// Open sets up the database and the caches. The caller closes the service.
func Open(ctx context.Context, c Config) (_ *Service, err error) {
	s := &Service{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(ctx))
		}
	}()

	s.db, err = s.openDB(filepath.Join(c.Dir, DBFile), "_pragma=busy_timeout(10000)&_time_format=sqlite&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	if err := users.Setup(ctx, s.db); err != nil {
		return nil, err
	}
	if s.Stores, err = s.openStores(c); err != nil {
		return nil, err
	}
	if s.Users, err = users.NewCachedUserRepo(users.NewUserRepo(s.db), s.Stores); err != nil {
		return nil, err
	}
	s.mux = s.routes()
	return s, nil
}

// openStores makes two stores. "main" has memory in front of a tier that outlives
// the process, and an outbox in the database of the users: what a transaction
// changes in the cache is written there by the transaction itself, so that it is not
// lost with this process. "local" is memory alone, for what store=local names.
func (s *Service) openStores(c Config) (runtime.Stores, error) {
	options := append([]runtime.StoreOption{
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.Prefix(Prefix(c.Dir)),
		runtime.Outbox(sqlite.NewOutbox(s.db, sqlite.OutboxOptions{})),
	}, c.Options...)

	if c.RedisURL != "" {
		o, err := goredis.ParseURL(c.RedisURL)
		if err != nil {
			return runtime.Stores{}, fmt.Errorf("read the Redis URL: %w", err)
		}
		client := goredis.NewClient(o)
		s.closers = append(s.closers, client.Close)
		s.shared = &counted{PassThrough: drivers.PassThrough{L2: redis.New(client, redis.Options{})}}
		options = append(options, runtime.Bus(redis.NewBus(client, c.Bus)))
	} else {
		db, err := s.openDB(filepath.Join(c.Dir, "cache.db"), "_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
		if err != nil {
			return runtime.Stores{}, err
		}
		s.shared = &counted{PassThrough: drivers.PassThrough{L2: sqlite.New(db, sqlite.Options{})}}
	}
	options = append(options, runtime.L2(s.shared)) // counting is for the demo: the driver itself would do

	main, err := runtime.NewStore("main", options...)
	if err != nil {
		return runtime.Stores{}, err
	}
	local, err := runtime.NewStore("local", runtime.L1(memory.New(memory.Options{MaxSize: "1mb"})))
	if err != nil {
		return runtime.Stores{}, errors.Join(err, main.Close(context.Background()))
	}
	return runtime.NewStores(main, local)
}

// Prefix is what the keys of a service on dir begin with in the shared tier: a
// database of its own must not meet the cached rows of another.
func Prefix(dir string) string { return "cachegen-example-" + filepath.Base(dir) }

// openDB opens a SQLite file with pragmas for each of its connections.
func (s *Service) openDB(path, pragmas string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s.closers = append(s.closers, db.Close)
	return db, nil
}

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close waits for loads that run in the background, at most until ctx is done,
// and closes everything that [Open] has opened.
func (s *Service) Close(ctx context.Context) error {
	err := s.Stores.Close(ctx)
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		err = errors.Join(err, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return err
}
