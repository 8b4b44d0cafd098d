// Package servers starts the real servers that tests of drivers need: each test
// its own process, on a free loopback port, with its data in a directory of the
// test.
//
//	func TestStore(t *testing.T) {
//		server := servers.Redis(t)
//		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
//		…
//		server.Stop()     // connections break
//		server.Restart(t) // the same port, without the data
//	}
//
// A server whose program is not installed skips the test, with a message that
// says how to install it. With CACHEGEN_SERVERS=require in the environment the
// test fails instead, so that a build machine cannot pass by skipping; with
// CACHEGEN_SERVERS=none it is skipped although the program is there, for who wants to
// know soon what else is wrong.
// CACHEGEN_REDIS_SERVER names a program to start in place of redis-server, such as
// valkey-server.
package servers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds the time from starting a program to its first answer.
const startTimeout = 30 * time.Second

// process is one server program. Its methods are for one goroutine.
type process struct {
	name  string
	args  func(port string) []string
	ready string                          // what the program prints when it listens
	ping  func(addr string) error         // whether it really answers
	as    *syscall.SysProcAttr            // whom the program runs as, if not nil
	dir   string                          // its working directory, if not empty
	small bool                            // its files have at most SmallDisk bytes
	free  func() (port string, err error) // chooses a port, freePort if nil
	port  string
	cmd   *exec.Cmd
	done  chan struct{} // closed when cmd has ended
}

// Addr returns the host and port, which stay the same across Restart.
func (p *process) Addr() string { return net.JoinHostPort("127.0.0.1", p.port) }

// Stop kills the server as a crash would, connections broken without a word, and
// waits for its end. On a stopped server it does nothing.
func (p *process) Stop() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill()
	<-p.done
	p.cmd = nil
}

// Close ends the server for good.
func (p *process) Close() { p.Stop() }

// Restart starts a stopped server again on its port.
func (p *process) Restart(t testing.TB) {
	t.Helper()
	if err := p.launch(p.port); err != nil {
		t.Fatal(err)
	}
}

// start launches the program on a free port. Somebody else can take the port
// between the choice and the program's bind; then it takes another.
func (p *process) start() error {
	var err error
	for range 5 {
		var port string
		free := freePort
		if p.free != nil {
			free = p.free
		}
		if port, err = free(); err != nil {
			return fmt.Errorf("%s: choosing a port: %w", p.name, err)
		}
		if err = p.launch(port); err == nil {
			return nil
		}
	}
	return err
}

func (p *process) launch(port string) error {
	p.port = port
	p.cmd = p.command(port)
	p.cmd.SysProcAttr, p.cmd.Dir = p.as, p.dir
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return fmt.Errorf("%s: %w", p.name, err)
	}
	var log logTail
	ready := make(chan struct{})
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		log.follow(out, p.ready, ready)
		cmd.Wait()
		close(done)
	}(p.cmd, p.done)

	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-ready:
		err = p.ping(p.Addr())
	case <-p.done:
		err = errors.New("ended at once")
	case <-timeout.C:
		err = fmt.Errorf("not ready after %s", startTimeout)
	}
	if err != nil {
		p.Stop()
		return fmt.Errorf("%s on port %s: %w\n%s", p.name, port, err, log.String())
	}
	return nil
}

func (p *process) command(port string) *exec.Cmd {
	if !p.small {
		return exec.Command(p.name, p.args(port)...)
	}
	// The signal would end a program that does not expect it. The unit is 512 bytes.
	script := fmt.Sprintf(`trap '' XFSZ; ulimit -f %d; exec "$@"`, SmallDisk/512)
	return exec.Command("sh", append([]string{"-c", script, "sh", p.name}, p.args(port)...)...)
}

// SmallDisk is how large a file of a server on a small disk can become, in bytes.
const SmallDisk = 16 << 20

// logTail keeps the end of what a program printed, for error messages.
type logTail struct {
	mu    sync.Mutex
	lines []string
}

// follow reads out until its end and closes seen at the first line with text in it.
func (l *logTail) follow(out io.Reader, text string, seen chan struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		l.mu.Lock()
		l.lines = append(l.lines, lines.Text())
		if len(l.lines) > 20 {
			l.lines = l.lines[1:]
		}
		l.mu.Unlock()
		if seen != nil && strings.Contains(lines.Text(), text) {
			close(seen)
			seen = nil
		}
	}
	// A line beyond the scanner's limit: the program must not block on its output.
	io.Copy(io.Discard, out)
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// exchange sends request to addr and returns the first line of the answer.
func exchange(addr, request string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, startTimeout)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func requireBinary(t testing.TB, name, install string) {
	t.Helper()
	if os.Getenv("CACHEGEN_SERVERS") == "none" {
		t.Skip("no servers are started: CACHEGEN_SERVERS is none")
	}
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	message := fmt.Sprintf("%s is not installed: %s", name, install)
	if os.Getenv("CACHEGEN_SERVERS") == "require" {
		t.Fatal(message)
	}
	t.Skip(message)
}
