package conventions

import (
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/compress"
	"github.com/cachegen/cachegen/drivers/file"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/mysql"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/drivers/sqlite"
)

// A driver that nobody has made says so where a store is made, instead of panicking at the first
// call, which may be in a goroutine of its own and end the process.
func TestADriverThatIsNilOrZeroIsRefused(t *testing.T) {
	for want, driver := range map[string]any{
		"the *redis.Driver is nil":                         (*redis.Driver)(nil),
		"the *redis.Bus is nil":                            (*redis.Bus)(nil),
		"the *memory.Driver is nil":                        (*memory.Driver)(nil),
		"the *sqlite.Driver is nil":                        compress.New((*sqlite.Driver)(nil), compress.Options{}),
		"the *file.Driver is nil":                          drivers.PassThrough{L2: (*file.Driver)(nil)},
		"the *drivers.PassThrough is nil":                  (*drivers.PassThrough)(nil),
		"the driver behind a drivers.PassThrough is nil":   drivers.PassThrough{},
		"redis: zero Driver: make it with redis.New":       new(redis.Driver),
		"redis: zero Bus: make it with redis.NewBus":       new(redis.Bus),
		"memory: zero Driver: make it with memory.New":     new(memory.Driver),
		"memory: zero L2: make it with memory.NewL2":       new(memory.L2),
		"file: zero Driver: make it with file.New":         new(file.Driver),
		"mysql: zero Driver: make it with mysql.New":       new(mysql.Driver),
		"postgres: zero Driver: make it with postgres.New": new(postgres.Driver),
		"sqlite: zero Driver: make it with sqlite.New":     new(sqlite.Driver),
	} {
		checker, ok := drivers.CheckerOf(driver)
		if !ok || checker.Err() == nil || checker.Err().Error() != want {
			t.Errorf("%T: got %v, want %s", driver, checker, want)
		}
	}
	if checker, ok := drivers.CheckerOf(nil); ok {
		t.Errorf("no driver: got %v", checker)
	}
}
