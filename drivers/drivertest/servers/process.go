// Package servers starts real servers, for tests of drivers alone. Each server is a process of
// its own, on a free port of the loopback interface. Its data are in a directory of the test.
//
//	func TestStore(t *testing.T) {
//		server := servers.Redis(t)
//		client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
//		…
//		server.Stop()     // connections break
//		server.Restart(t) // on the same port, without the data
//	}
//
// If the program of a server is not installed, the test is skipped, and says how to install
// it. Variables of the environment change this:
//
//	CACHEGEN_SERVERS=require             the test fails: on a build machine no test is left out
//	CACHEGEN_SERVERS=none                the test is skipped although the program is installed
//	CACHEGEN_REDIS_SERVER=valkey-server  the program to start in place of redis-server
//
// The methods of one server may be called by one goroutine at a time.
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

// startTimeout bounds the time from the start of a program to its first answer.
const startTimeout = 30 * time.Second

// process is one server program. Its methods may be called by one goroutine at a time.
type process struct {
	name  string
	args  func(port string) []string
	ready string                          // printed by the program when it listens
	ping  func(addr string) error         // returns nil if the server answers
	as    *syscall.SysProcAttr            // the user of the program, if not nil
	dir   string                          // its working directory, if not empty
	small bool                            // its files can have at most SmallDisk bytes
	free  func() (port string, err error) // chooses a port, freePort if nil
	port  string
	cmd   *exec.Cmd
	done  chan struct{} // closed when cmd has ended
}

// Addr returns the host and port, which stay the same across Restart.
func (p *process) Addr() string { return net.JoinHostPort("127.0.0.1", p.port) }

// Stop kills the server like a crash: connections break without notice. Stop waits for the
// end of the process. On a stopped server it does nothing.
func (p *process) Stop() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill()
	<-p.done
	p.cmd = nil
}

// Close stops the server.
func (p *process) Close() { p.Stop() }

// Restart starts a stopped server again on its port.
func (p *process) Restart(t testing.TB) {
	t.Helper()
	if err := p.launch(p.port); err != nil {
		t.Fatal(err)
	}
}

// start launches the program on a free port. If another process takes the port before the
// program does, start tries another port.
func (p *process) start() error {
	var err error
	for range 5 {
		var port string
		free := freePort
		if p.free != nil {
			free = p.free
		}
		if port, err = free(); err != nil {
			return fmt.Errorf("%s: choose a port: %w", p.name, err)
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
		err = errors.New("the program has ended")
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
	// A program that does not ignore the signal XFSZ would end. The unit is 512 bytes.
	script := fmt.Sprintf(`trap '' XFSZ; ulimit -f %d; exec "$@"`, SmallDisk/512)
	return exec.Command("sh", append([]string{"-c", script, "sh", p.name}, p.args(port)...)...)
}

// SmallDisk is the largest size of a file, in bytes, of a server on a small disk.
const SmallDisk = 16 << 20

// logTail keeps the last lines that a program has printed, for error messages.
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
	// After a line beyond the limit of the scanner, so that the program does not block on
	// its output.
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
