package conventions

import (
	"errors"
	"io"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/compress"
	"github.com/cachegen/cachegen/drivers/file"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/mysql"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/drivers/seal"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
)

// A closing counts the calls of Close.
type closing struct {
	drivers.PassThrough
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return c.PassThrough.Close()
}

// A store that is refused closes the drivers that it was given, and a driver the one behind it:
// the program has a reference to none of them.
func TestADriverThatIsRefusedClosesTheOneBehind(t *testing.T) {
	secret := make([]byte, 32)
	for name, around := range map[string]func(drivers.L2) drivers.L2{
		"compress":           func(l2 drivers.L2) drivers.L2 { return compress.New(l2, compress.Options{MaxSize: "much"}) },
		"compress threshold": func(l2 drivers.L2) drivers.L2 { return compress.New(l2, compress.Options{Threshold: -1}) },
		"seal":               func(l2 drivers.L2) drivers.L2 { return seal.New(l2, seal.Options{}) },
		"both": func(l2 drivers.L2) drivers.L2 {
			return compress.New(seal.New(l2, seal.Options{Keys: [][]byte{secret[:5]}}), compress.Options{})
		},
		"pass through": func(l2 drivers.L2) drivers.L2 {
			return drivers.PassThrough{L2: seal.New(l2, seal.Options{Keys: [][]byte{nil}})}
		},
	} {
		behind := &closing{PassThrough: drivers.PassThrough{L2: memory.NewL2(memory.L2Options{})}}
		if _, err := runtime.NewStore("main", runtime.L2(around(behind))); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if behind.closed != 1 {
			t.Errorf("%s: the driver behind was closed %d times", name, behind.closed)
		}
	}
}

// A driver that cannot be used has opened nothing, and can be closed all the same.
func TestADriverThatCannotBeUsedCanBeClosed(t *testing.T) {
	for name, driver := range map[string]io.Closer{
		"memory":        memory.New(memory.Options{MaxSize: "much"}),
		"memory items":  memory.New(memory.Options{MaxItems: -1}),
		"memory, L2":    memory.NewL2(memory.L2Options{MaxSize: "much"}),
		"file":          file.New("", file.Options{}),
		"file, size":    file.New("x", file.Options{MaxSize: "much"}),
		"redis":         redis.New(nil, redis.Options{}),
		"redis, bus":    redis.NewBus(nil, redis.BusOptions{}),
		"redis, ping":   redis.NewBus(nil, redis.BusOptions{PingInterval: -1}),
		"sqlite":        sqlite.New(nil, sqlite.Options{}),
		"sqlite, prune": sqlite.New(nil, sqlite.Options{PruneEvery: -1}),
		"mysql":         mysql.New(nil, mysql.Options{}),
		"mysql, table":  mysql.New(nil, mysql.Options{Table: "a b"}),
		"postgres":      postgres.New(nil, postgres.Options{PruneEvery: 1}),
		"compress":      compress.New(nil, compress.Options{}),
		"seal":          seal.New(nil, seal.Options{}),

		"sqlite, outbox":   sqlite.NewOutbox(nil, sqlite.OutboxOptions{}),
		"mysql, outbox":    mysql.NewOutbox(nil, mysql.OutboxOptions{Table: "a b"}),
		"postgres, outbox": postgres.NewOutbox(nil, postgres.OutboxOptions{BusyTimeout: -1}),
	} {
		checker, ok := drivers.CheckerOf(driver)
		if !ok || checker.Err() == nil {
			t.Errorf("%s: usable", name)
		}
		if err := errors.Join(driver.Close(), driver.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if l2, ok := driver.(drivers.L2); ok {
			if _, err := l2.GetMany(t.Context(), []string{"k"}); !errors.Is(err, drivers.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
