package kill

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
)

// killsEnv is the environment variable with the number of kills for each database.
const killsEnv = "CACHEGEN_KILLS"

func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv(killsEnv))
	if os.Getenv(killsEnv) == "" {
		n, err = 20, nil
	}
	if err != nil || n < 1 {
		t.Fatalf("%s is %q", killsEnv, os.Getenv(killsEnv))
	}
	return n
}

// patience is how long an event is waited for that must happen. Entries live for an hour: what is
// lost is stale for longer.
const patience = 30 * time.Second

// life is how long a process writes before it is killed: mostly so short that nothing has been
// removed from the outbox yet.
func life() time.Duration {
	if rand.IntN(4) == 0 {
		return rand.N(200 * time.Millisecond)
	}
	return rand.N(30 * time.Millisecond)
}

// databases are the addresses of databases, by kind.
var databases = map[string]func(t *testing.T) string{
	"sqlite": func(t *testing.T) string {
		address := "file:" + filepath.Join(t.TempDir(), "app.db") + "?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=busy_timeout(10000)&_txlock=immediate"
		// The first connection changes the journal. If others are at work then, it fails at once.
		db, err := sql.Open("sqlite", address)
		if err == nil {
			err = errors.Join(db.Ping(), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		return address
	},
	"postgres": func(t *testing.T) string { return servers.Postgres(t).URL() },
	"notify":   func(t *testing.T) string { return servers.Postgres(t).URL() },
}

// A child is a process that writes until it is killed.
type child struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func start(t *testing.T, where string) *child {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(program)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+where)
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.cmd.Stderr = os.Stderr
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	t.Cleanup(func() { c.kill(t) })
	return c
}

// await waits until it writes.
func (c *child) await(t *testing.T) {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if strings.TrimSpace(line) != "writing" {
		rest, _ := io.ReadAll(c.out)
		t.Fatalf("the process says %q%s, %v", line, rest, err)
	}
}

// kill kills it as kill -9 does.
func (c *child) kill(t *testing.T) {
	if c.cmd == nil {
		return
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Errorf("the process has ended before it was killed: %v", err)
	}
	c.cmd.Wait()
	c.cmd = nil
}

// A world is a database, a Redis, and a process that reads.
type world struct {
	t      *testing.T
	where  string // for children
	reader *process
	left   atomic.Int64 // entries that the reader has carried out
	trials atomic.Int64 // how often one was taken, at most
}

func newWorld(t *testing.T, kind string, carriesOut bool) *world {
	t.Helper()
	w := &world{t: t}
	address, redisAddr := databases[kind](t), servers.Redis(t).Addr()
	w.where = kind + " " + address + " " + redisAddr
	var err error
	w.reader, err = open(kind, address, redisAddr, carriesOut, runtime.Logger(slog.New(slog.NewTextHandler(t.Output(), nil))),
		runtime.Hooks(event.Hooks{Outbox: func(e event.Outbox) {
			w.left.Add(int64(e.Entries))
			for n := int64(e.Attempts); ; {
				if most := w.trials.Load(); n <= most || w.trials.CompareAndSwap(most, n) {
					break
				}
			}
		}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.reader.close)
	w.execute("CREATE TABLE versions (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)")
	for id := range keys {
		w.execute(fmt.Sprintf("INSERT INTO versions VALUES (%d, 0)", id))
	}
	if err := w.reader.stores.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) execute(statement string) {
	w.t.Helper()
	if _, err := w.reader.db.Exec(statement); err != nil {
		w.t.Fatal(err)
	}
}

// committed returns the versions of all rows.
func (w *world) committed() [keys]int64 {
	w.t.Helper()
	versions, err := w.reader.versions()
	if err != nil {
		w.t.Fatal(err)
	}
	return versions
}

// read reads all rows through the cache.
func (w *world) read() (versions [keys]int64) {
	w.t.Helper()
	for id := range keys {
		version, err := w.reader.read(context.Background(), id)
		if err != nil {
			w.t.Errorf("read %d: %v", id, err)
		}
		versions[id] = version
	}
	return versions
}

// entries returns how many entries are in the outbox.
func (w *world) entries() (n int) {
	w.t.Helper()
	if err := w.reader.db.QueryRow("SELECT count(*) FROM cachegen_outbox").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// settle waits until the reader reads what is committed, and the outbox is empty. It returns how
// long it took until the former was so. The server may still carry out what a process has sent
// before it was killed: a commit can come after the kill.
func (w *world) settle() (took time.Duration) {
	w.t.Helper()
	began := time.Now()
	for {
		same := w.read() == w.committed()
		if same && took == 0 {
			took = time.Since(began)
		}
		if same && w.entries() == 0 && w.read() == w.committed() {
			return took
		}
		if time.Since(began) > patience {
			w.t.Fatalf("not within %v: read %v, committed %v, %d entries", patience, w.read(), w.committed(), w.entries())
		}
		time.Sleep(time.Millisecond)
	}
}

// race R57: a process that commits transactions is killed at a random moment. Whatever it has
// committed, another process reads soon, and nothing is left over.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	for kind := range databases {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, kind, true)
			stop := w.keepReading()
			n, began := kills(t), time.Now()
			var stale, left int
			var longest time.Duration
			for range n {
				next := start(t, w.where)
				next.await(t)
				time.Sleep(life())
				next.kill(t)
				if w.committed() != w.read() {
					stale++
				}
				left += w.entries()
				longest = max(longest, w.settle())
			}
			reads := stop()
			t.Logf("%d kills in %.0f s, %d transactions. After %d kills something was stale, for %v at most (looks are %v apart). %d entries were left. %s",
				n, time.Since(began).Seconds(), sum(w.committed()), stale, longest.Round(time.Millisecond), poll, left, reads)
			if n >= 100 && (left == 0 || w.left.Load() == 0) {
				t.Error("no process was killed at the moment that this is about")
			}
		})
	}
}

// Whoever carries out what others have left is killed as well.
func TestKillThoseWhoCarryOut(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	for kind := range databases {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, kind, false) // the reader does not carry out
			stop := w.keepReading()
			n, began := kills(t), time.Now()
			living := []*child{start(t, w.where), start(t, w.where)}
			for _, c := range living {
				c.await(t)
			}
			for i := range n {
				time.Sleep(rand.N(200 * time.Millisecond)) // the time to start is a part of it
				living[i%2].kill(t)
				living[i%2] = start(t, w.where)
				if i%10 < 9 {
					continue
				}
				for _, c := range living { // nobody may write while it is compared
					c.kill(t)
				}
				last := carrier(t, w)
				w.settle()
				last.close()
				for i := range living {
					living[i] = start(t, w.where)
				}
			}
			reads := stop()
			t.Logf("%d kills in %.0f s, %d transactions. %s", n, time.Since(began).Seconds(), sum(w.committed()), reads)
		})
	}
}

// carrier opens a process that only carries out what is left.
func carrier(t *testing.T, w *world) *process {
	t.Helper()
	part := strings.Split(w.where, " ")
	p, err := open(part[0], part[1], part[2], true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sum(versions [keys]int64) (n int64) {
	for _, v := range versions {
		n += v
	}
	return n
}
