package processes

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
)

// childEnv has the configuration of a child.
const childEnv = "CACHEGEN_PROCESSES_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := runChild(text); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A config is what a child is told when it starts.
type config struct {
	Process  int
	Gateway  string // socket
	Database string // socket
	System   system
	Build    int  // which shape of the type it has, 0 or 1
	Untagged bool // it gives rows no tags
	NoMemory bool
	NoBus    bool
	Trust    time.Duration
	TTL      time.Duration
	Lock     time.Duration
	Lag      time.Duration // of what it loads
}

// A command is what the parent tells a child.
type command struct {
	ID  int
	Op  string // read, write, work, herd, heard, close
	Row int
	N   int // rows of work, callers of herd, messages heard
	For time.Duration
}

// A report is what a child says: the answer to a command, or an event of its work.
type report struct {
	ID      int // of the command
	Event   string
	Process int
	Row     int
	Version int64
	Start   int64 // nanoseconds since 1970
	End     int64
	Err     string
	Done    bool // of the command
}

// One build's type, and the next one's.
type rowV0 struct {
	Row     int
	Version int64
}

type rowV1 struct {
	Row     int
	Version int64
	Added   string
}

// A child is one process.
type child struct {
	config
	source *source
	stores runtime.Stores
	store  *runtime.Store
	caches [kinds]getter
	out    chan report
	heard  atomic.Int64 // messages that rows have been invalidated by key
}

// Rows differ in how they are invalidated: by key, by a tag of the call, by a tag of the result.
const kinds = 3

func kindOf(row int) int { return row % kinds }

func tagOf(row int) runtime.Tag { return runtime.Tag(fmt.Sprint("row:", row)) }

// A getter is a cache of either type.
type getter interface {
	get(ctx context.Context, row int) (int64, error)
	delete(ctx context.Context, row int) error
}

type cache[V any] struct {
	*runtime.Cache[int, V]
	child   *child
	make    func(row int, version int64) V
	version func(V) int64
}

func (c cache[V]) get(ctx context.Context, row int) (int64, error) {
	var options []runtime.CallOption
	if kindOf(row) == 1 && !c.child.Untagged {
		options = append(options, runtime.Tags(tagOf(row)))
	}
	v, err := c.GetOrSet(ctx, row, func(ctx context.Context) (V, error) {
		version, err := c.child.source.ask("load", row)
		if kindOf(row) == 2 && !c.child.Untagged {
			runtime.EntryOf(ctx).SetTags(tagOf(row))
		}
		return c.make(row, version), err
	}, options...)
	return c.version(v), err
}

func (c cache[V]) delete(ctx context.Context, row int) error {
	if kindOf(row) == 0 {
		return c.Delete(ctx, row)
	}
	return c.child.store.DeleteByTag(ctx, tagOf(row))
}

func runChild(text string) error {
	c := &child{out: make(chan report, 10_000)}
	if err := json.Unmarshal([]byte(text), &c.config); err != nil {
		return err
	}
	c.source = newSource(c.Database, c.Process)
	tier, bus, release, err := c.System.open(c.Gateway)
	if err != nil {
		return err
	}
	defer release()
	options := []runtime.StoreOption{
		runtime.L2(tier), runtime.StampTrust(c.Trust), runtime.TTL(c.TTL), runtime.Logger(slog.New(slog.NewTextHandler(os.Stderr, nil))),
		runtime.ReplicaLag(c.Lag), runtime.Hooks(event.Hooks{Received: func(m event.Message) {
			if m.Kind == "drop" {
				c.heard.Add(1)
			}
		}}),
	}
	if !c.NoMemory {
		options = append(options, runtime.L1(memory.New(memory.Options{})))
	}
	if !c.NoBus {
		options = append(options, runtime.Bus(bus))
	}
	if c.Lock > 0 {
		options = append(options, runtime.LockTimeout(c.Lock))
	}
	if c.stores, err = runtime.OpenStore("s", options...); err != nil {
		return err
	}
	if c.store, err = c.stores.Use("s"); err != nil {
		return err
	}
	for kind := range kinds {
		if c.caches[kind], err = c.open(fmt.Sprint("rows", kind)); err != nil {
			return err
		}
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		out := bufio.NewWriter(os.Stdout)
		enc := json.NewEncoder(out)
		for r := range c.out {
			r.Process = c.Process
			_ = enc.Encode(r)
			if len(c.out) == 0 || r.Done {
				_ = out.Flush()
			}
		}
		_ = out.Flush()
	}()
	ready, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	err = c.store.Ready(ready)
	cancel()
	if err != nil {
		return err
	}
	c.out <- report{Event: "ready", Done: true}
	var running sync.WaitGroup
	in := json.NewDecoder(os.Stdin)
	for {
		var cmd command
		if err := in.Decode(&cmd); err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			return nil // the parent has gone
		}
		if cmd.Op == "close" {
			running.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			err := c.stores.Close(ctx)
			cancel()
			c.out <- report{ID: cmd.ID, Done: true, Err: text2(err)}
			close(c.out)
			<-written
			return nil
		}
		running.Go(func() { c.do(cmd) })
	}
}

func (c *child) open(name string) (getter, error) {
	if c.Build == 0 {
		made, err := runtime.NewCache[int, rowV0](c.store, name)
		return cache[rowV0]{made, c, func(row int, v int64) rowV0 { return rowV0{row, v} }, func(r rowV0) int64 { return r.Version }}, err
	}
	made, err := runtime.NewCache[int, rowV1](c.store, name)
	return cache[rowV1]{made, c, func(row int, v int64) rowV1 { return rowV1{row, v, "added"} }, func(r rowV1) int64 { return r.Version }}, err
}

func text2(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func now() int64 { return time.Now().UnixNano() }

func (c *child) read(id, row int) report {
	start := now()
	version, err := c.caches[kindOf(row)].get(context.Background(), row)
	return report{ID: id, Event: "read", Row: row, Version: version, Start: start, End: now(), Err: text2(err)}
}

// write changes a row and invalidates it. Version is the new one of the database. The span is
// that of the invalidation.
func (c *child) write(id, row int) report {
	version, err := c.source.ask("write", row)
	start := now()
	if err == nil {
		err = c.caches[kindOf(row)].delete(context.Background(), row)
	}
	return report{ID: id, Event: "write", Row: row, Version: version, Start: start, End: now(), Err: text2(err)}
}

func (c *child) do(cmd command) {
	switch cmd.Op {
	case "read", "write":
		r := c.read
		if cmd.Op == "write" {
			r = c.write
		}
		answer := r(cmd.ID, cmd.Row)
		answer.Done = true
		c.out <- answer
	case "work":
		c.work(cmd)
		c.out <- report{ID: cmd.ID, Done: true}
	case "herd":
		var all sync.WaitGroup
		var failed atomic.Pointer[string]
		start := now()
		for range cmd.N {
			all.Go(func() {
				if r := c.read(cmd.ID, cmd.Row); r.Err != "" {
					failed.Store(&r.Err)
				}
			})
		}
		all.Wait()
		answer := report{ID: cmd.ID, Done: true, Start: start, End: now(), Row: cmd.Row}
		if p := failed.Load(); p != nil {
			answer.Err = *p
		}
		c.out <- answer
	case "heard":
		answer := report{ID: cmd.ID, Done: true}
		for end := time.Now().Add(bound); c.heard.Load() < int64(cmd.N); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				answer.Err = fmt.Sprintf("%d messages were heard", c.heard.Load())
				break
			}
		}
		c.out <- answer
	default:
		c.out <- report{ID: cmd.ID, Done: true, Err: "unknown command " + cmd.Op}
	}
}

// work reads and writes rows for a while. The first rows are hot.
func (c *child) work(cmd command) {
	until := time.Now().Add(cmd.For)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for time.Now().Before(until) {
				row := rand.IntN(cmd.N)
				if rand.IntN(3) > 0 {
					row = rand.IntN(min(cmd.N, 2*kinds))
				}
				if rand.IntN(40) == 0 {
					c.out <- c.write(cmd.ID, row)
					c.out <- c.read(cmd.ID, row) // which must have the new version
				} else {
					c.out <- c.read(cmd.ID, row)
				}
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			}
		})
	}
	all.Wait()
}
