package servers

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// A Proxy stands between clients and a server. It can lose an answer: the server has carried
// out what it was asked, and the connection breaks before the client is told.
type Proxy struct {
	listen net.Listener

	mu      sync.Mutex // guards what follows
	server  string
	conns   map[net.Conn]bool
	closed  bool
	left    int    // answers to deliver before one is lost; negative: none is lost
	between func() // called while the answer is lost
	lost    bool
	done    chan struct{} // closed when between has returned
	running sync.WaitGroup
}

// NewProxy returns a Proxy for the server at an address, which the test closes.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{server: server, listen: listen, conns: make(map[net.Conn]bool), left: -1}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns the host and port for clients.
func (p *Proxy) Addr() string { return p.listen.Addr().String() }

// LoseAnswer makes the proxy deliver n answers from now on, and lose the one after them. It
// closes the connection to the server, calls between, and closes the connection to the
// client. Everything else goes on.
func (p *Proxy) LoseAnswer(n int, between func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.between, p.lost, p.done = n, between, false, make(chan struct{})
}

// Redirect ends all connections and leads new ones to the server at another address, as at a
// failover.
func (p *Proxy) Redirect(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
	for c := range p.conns {
		c.Close()
	}
}

// Lost ends what LoseAnswer began, and reports whether an answer was lost. The function between
// has returned then.
func (p *Proxy) Lost() bool {
	p.mu.Lock()
	p.left = -1
	lost, done := p.lost, p.done
	p.mu.Unlock()
	if lost {
		<-done
	}
	return lost
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.listen.Close()
	p.running.Wait()
}

// keep remembers a connection, which close closes. It returns false if it is too late.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !p.keep(client) {
			continue
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.forget(client)
	p.mu.Lock()
	address := p.server
	p.mu.Unlock()
	server, err := net.Dial("tcp", address)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.forget(server)
	var mu sync.Mutex
	asked := false // the client has sent something since the last answer
	p.running.Go(func() {
		pipe(server, client, func() bool {
			mu.Lock()
			defer mu.Unlock()
			asked = true
			return true
		})
		server.Close()
	})
	pipe(client, server, func() bool {
		mu.Lock()
		answer := asked
		asked = false
		mu.Unlock()
		return !answer || !p.lose(server)
	})
}

// lose counts an answer, and reports whether it is the one to be lost.
func (p *Proxy) lose(server net.Conn) bool {
	p.mu.Lock()
	if p.left < 0 {
		p.mu.Unlock()
		return false
	}
	p.left--
	if p.left >= 0 {
		p.mu.Unlock()
		return false
	}
	p.lost = true
	between, done := p.between, p.done
	p.mu.Unlock()
	defer close(done)
	server.Close()
	if between != nil {
		between()
	}
	return true
}

// pipe copies until a connection ends or each returns false for what was read.
func pipe(to, from net.Conn, each func() bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !each() {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
