package processes

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A database has a version of each row. Children ask it by a socket: "load PROCESS ROW" and
// "write PROCESS ROW", and are answered with a version, which begins at 1.
type database struct {
	path   string
	listen net.Listener

	mu      sync.Mutex
	rows    map[int]int64
	loads   map[int]int // of each row
	byChild map[int]int // loads of each process
	delay   time.Duration
	written map[int][]time.Time // when each version but the first one was written
	behind  time.Duration       // by how much what is loaded lags behind
	gates   map[gateOf]*gate
	closed  bool
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

type gateOf struct{ process, row int }

// A gate holds the answer of one load back: the row has been read, and its loader is slow.
type gate struct {
	reached  chan struct{} // closed when the load has read the row
	released chan struct{} // closed by the test
}

func newDatabase(t *testing.T) *database {
	d := &database{
		path: filepath.Join(t.TempDir(), "database"), rows: map[int]int64{}, loads: map[int]int{}, byChild: map[int]int{},
		gates: map[gateOf]*gate{}, written: map[int][]time.Time{}, conns: map[net.Conn]bool{},
	}
	var err error
	if d.listen, err = net.Listen("unix", d.path); err != nil {
		t.Fatal(err)
	}
	d.running.Go(func() {
		for {
			c, err := d.listen.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns[c] = true
			d.mu.Unlock()
			d.running.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() {
		d.mu.Lock()
		d.closed = true
		for _, g := range d.gates {
			select {
			case <-g.released:
			default:
				close(g.released)
			}
		}
		for c := range d.conns {
			c.Close()
		}
		d.mu.Unlock()
		d.listen.Close()
		d.running.Wait()
	})
	return d
}

func (d *database) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		var op string
		var process, row int
		if _, err := fmt.Fscanln(in, &op, &process, &row); err != nil {
			return
		}
		d.mu.Lock()
		if op == "write" {
			d.rows[row]++
			d.written[row] = append(d.written[row], time.Now())
		} else {
			d.loads[row]++
			d.byChild[process]++
		}
		version, delay := d.rows[row]+1, d.delay
		if op == "load" && d.behind > 0 {
			version = 1
			for _, at := range d.written[row] {
				if time.Since(at) >= d.behind {
					version++
				}
			}
		}
		var g *gate
		if op == "load" {
			g = d.gates[gateOf{process, row}]
			delete(d.gates, gateOf{process, row})
		}
		d.mu.Unlock()
		if op == "load" && delay > 0 {
			time.Sleep(delay)
		}
		if g != nil {
			close(g.reached)
			<-g.released
		}
		if _, err := fmt.Fprintln(c, version); err != nil {
			return
		}
	}
}

// hold holds the next load of a row by a process back until the gate is released.
func (d *database) hold(process, row int) *gate {
	g := &gate{make(chan struct{}), make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gates[gateOf{process, row}] = g
	return g
}

func (d *database) version(row int) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rows[row] + 1
}

// loadsOf returns how often a row has been loaded.
func (d *database) loadsOf(row int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loads[row]
}

func (d *database) slow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = by
}

// A source is a child's connections to the database.
type source struct {
	path    string
	process int
	idle    chan net.Conn
}

func newSource(path string, process int) *source {
	return &source{path, process, make(chan net.Conn, 64)}
}

func (s *source) ask(op string, row int) (version int64, err error) {
	var c net.Conn
	select {
	case c = <-s.idle:
	default:
		if c, err = net.Dial("unix", s.path); err != nil {
			return 0, err
		}
	}
	if _, err = fmt.Fprintln(c, op, s.process, row); err == nil {
		_, err = fmt.Fscanln(c, &version)
	}
	if err != nil {
		c.Close()
		return 0, err
	}
	select {
	case s.idle <- c:
	default:
		c.Close()
	}
	return version, nil
}
