package processes

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A gateway is how one child reaches the servers. The child connects to a socket of the
// parent, and says first which purpose the connection has ("tier" or "bus") and where to.
type gateway struct {
	path   string
	listen net.Listener

	mu      sync.Mutex
	changed *sync.Cond
	fault   map[string]fault // by purpose
	conns   map[*tunnel]bool
	closed  bool
	running sync.WaitGroup
}

// A fault is what goes wrong on the connections of one purpose.
type fault struct {
	latency  time.Duration // each way
	up, down bool          // what the child, or the server, sends is held back
	cut      bool          // there is no connection
	// loseReply holds what the next request is answered with, and breaks the connection then.
	// It is about one reply, and ends with it.
	loseReply string // a text that the request contains; empty: none
	lost      func() // called when it was lost
}

// A tunnel is one connection of a child.
type tunnel struct {
	purpose       string
	child, server net.Conn
	lose          bool // the next reply is lost; guarded by the gateway's mu
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{path: filepath.Join(t.TempDir(), "gateway"), fault: map[string]fault{}, conns: map[*tunnel]bool{}}
	g.changed = sync.NewCond(&g.mu)
	var err error
	if g.listen, err = net.Listen("unix", g.path); err != nil {
		t.Fatal(err)
	}
	g.running.Go(func() {
		for {
			c, err := g.listen.Accept()
			if err != nil {
				return
			}
			g.running.Go(func() { g.serve(c) })
		}
	})
	t.Cleanup(g.close)
	return g
}

func (g *gateway) close() {
	g.mu.Lock()
	g.closed = true
	g.fault = map[string]fault{}
	for c := range g.conns {
		c.break_()
	}
	g.changed.Broadcast()
	g.mu.Unlock()
	g.listen.Close()
	g.running.Wait()
}

func (c *tunnel) break_() {
	c.child.Close()
	c.server.Close()
}

// set makes something go wrong, or heals it with the zero fault.
func (g *gateway) set(f fault, purposes ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range purposes {
		g.fault[p] = f
		if f.cut {
			for c := range g.conns {
				if c.purpose == p {
					c.break_()
				}
			}
		}
	}
	g.changed.Broadcast()
}

// breakAll breaks the connections that are there; new ones are possible.
func (g *gateway) breakAll(purposes ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		for _, p := range purposes {
			if c.purpose == p {
				c.break_()
			}
		}
	}
}

func (g *gateway) serve(child net.Conn) {
	defer child.Close()
	in := bufio.NewReader(child)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	purpose, addr, _ := strings.Cut(strings.TrimSpace(line), " ")
	g.mu.Lock()
	cut := g.fault[purpose].cut || g.closed
	g.mu.Unlock()
	if cut {
		return
	}
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	c := &tunnel{purpose: purpose, child: child, server: server}
	g.mu.Lock()
	g.conns[c] = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.conns, c)
		g.mu.Unlock()
	}()
	fmt.Fprintln(child, "ok")
	g.running.Go(func() {
		g.pipe(c, server, in, true)
		c.break_()
	})
	g.pipe(c, child, server, false)
	c.break_()
}

// A chunk is what was read at once, and when it is due on the other side.
type chunk struct {
	b   []byte
	due time.Time
}

// pipe carries what from sends to to, as slowly as the fault says, until one of them ends.
func (g *gateway) pipe(c *tunnel, to net.Conn, from interface{ Read([]byte) (int, error) }, up bool) {
	chunks := make(chan chunk, 10_000)
	defer close(chunks)
	ended := make(chan struct{})
	g.running.Go(func() {
		defer close(ended)
		defer c.break_()
		for ch := range chunks {
			time.Sleep(time.Until(ch.due))
			if !g.pass(c, ch.b, up) {
				return
			}
			if _, err := to.Write(ch.b); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			g.mu.Lock()
			latency := g.fault[c.purpose].latency
			g.mu.Unlock()
			select {
			case chunks <- chunk{append([]byte{}, buffer[:n]...), time.Now().Add(latency)}:
			case <-ended:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while the direction is held back. It returns false if the bytes are lost, and the
// connection with them.
func (g *gateway) pass(c *tunnel, b []byte, up bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for f := g.fault[c.purpose]; !g.closed && (up && f.up || !up && f.down); f = g.fault[c.purpose] {
		g.changed.Wait()
	}
	f := g.fault[c.purpose]
	if up && f.loseReply != "" && strings.Contains(string(b), f.loseReply) {
		c.lose = true
	}
	if !up && c.lose {
		c.lose = false
		lost := f.lost
		f.loseReply, f.lost = "", nil
		g.fault[c.purpose] = f
		if lost != nil {
			go lost()
		}
		return false
	}
	return !g.closed
}
