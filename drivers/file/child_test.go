package file

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// These tests run this program again as other processes.
const (
	childRole = "CACHEGEN_FILE_CHILD"
	childDir  = "CACHEGEN_FILE_DIR"
	childArg  = "CACHEGEN_FILE_ARG"
)

// child is what such a process does.
func child(role string) int {
	d := New(os.Getenv(childDir), Options{NoSync: os.Getenv(childArg) != "sync"})
	ctx := context.Background()
	var err error
	switch role {
	case "writer":
		err = d.writeForEver(ctx)
	case "counter":
		err = d.count(ctx)
	case "leaser":
		err = d.leaseRounds(ctx, os.Getenv(childArg))
	case "limited":
		err = d.meetLimit(ctx)
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func command(t *testing.T, role, dir, arg string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program)
	c.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir, childArg+"="+arg)
	c.Stderr = os.Stderr
	return c
}

// An act is one write of the writer, known by its number.
type act uint64

const actKeys = 8

func (a act) key() string   { return strconv.Itoa(int(a) % actKeys) }
func (a act) deletes() bool { return a%5 == 4 }

// value begins with the number, has one of several sizes, and no two are alike.
func (a act) value() []byte {
	size := []int{8, 200, 5_000, 70_000, 600_000}[a/actKeys%5]
	b := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(a), byte(a >> 8), byte(a >> 16)})
	random.Read(b)
	binary.BigEndian.PutUint64(b, uint64(a))
	return b
}

// writeForEver reads the number of its first act, and says the number of each that has
// returned.
func (d *Driver) writeForEver(ctx context.Context) error {
	var first act
	if _, err := fmt.Scan(&first); err != nil {
		return err
	}
	for a := first; ; a++ {
		var err error
		if a.deletes() {
			err = d.DeleteMany(ctx, []string{a.key()})
		} else {
			err = d.SetMany(ctx, []drivers.Item{{Key: a.key(), Value: a.value()}})
		}
		if err != nil {
			return err
		}
		fmt.Println(a)
	}
}

// A process that is killed at any instant loses the act it was at, at most, and leaves
// nothing damaged.
func TestKilledWhileItWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts many processes")
	}
	// A process of a test with the race detector takes seconds to start on a busy
	// machine: there, fewer have to do.
	const most, fewest, enough = 150, 8, 10 * time.Second
	for name, arg := range map[string]string{"Sync": "sync", "NoSync": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			state := make(map[string][]byte)
			began := time.Now()
			kills, interrupted, left, next := 0, 0, 0, act(0)
			for kills < most && (kills < fewest || time.Since(began) < enough) || interrupted == 0 && kills < 4*most {
				kills++
				next = killWriter(t, dir, arg, next, state)
				if n := len(files(t, dir, tempName+"*")); n > left {
					interrupted, left = interrupted+1, n
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d acts, %d of %d kills in the middle of one", next, interrupted, kills)
			if interrupted == 0 {
				t.Error("no kill came in the middle of a write: nothing was tested")
			}
			d := open(t, dir, Options{})
			if _, err := d.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left := files(t, dir, tempName+"*"); len(left) > 0 {
				t.Errorf("left after a prune: %q", left)
			}
			for key, want := range state {
				expect(t, d, key, string(want))
			}
		})
	}
}

// killWriter lets a writer go on, kills it, compares, and returns the next act.
func killWriter(t *testing.T, dir, arg string, first act, state map[string][]byte) act {
	t.Helper()
	c := command(t, "writer", dir, arg)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	fmt.Fprintln(in, uint64(first))
	lines := bufio.NewScanner(out)
	next := first
	done := func() {
		if text := lines.Text(); text != fmt.Sprint(next) {
			t.Fatalf("the writer says %q, want %d", text, next)
		}
		if state[next.key()] = nil; !next.deletes() {
			state[next.key()] = next.value()
		}
		next++
	}
	for range rand.N(12) {
		if !lines.Scan() {
			t.Fatalf("the writer ended by itself: %v", c.Wait())
		}
		done()
	}
	// At any moment of an act: right after the last one, the writer is still making the value.
	time.Sleep(rand.N(3 * time.Millisecond))
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what it had said before
		done()
	}
	c.Wait()

	d := New(dir, Options{})
	defer d.Close()
	for key := range state {
		got, err := d.GetMany(t.Context(), []string{key})
		if err != nil {
			t.Fatal(err)
		}
		if key == next.key() && string(got[0]) != string(state[key]) {
			// The act under way, as a whole.
			if state[key] = nil; !next.deletes() {
				state[key] = next.value()
			}
		}
		if (got[0] == nil) != (state[key] == nil) || string(got[0]) != string(state[key]) {
			t.Errorf("before act %d key %s has %.20q, want %.20q", next, key, got[0], state[key])
		}
	}
	return next + 1
}

const (
	processes = 4
	counts    = 100
)

// count adds to two keys, each time in one batch.
func (d *Driver) count(ctx context.Context) error {
	keys := []string{"one", "two"}
	left := []int{counts, counts}
	for left[0] > 0 || left[1] > 0 {
		values, err := d.GetMany(ctx, keys)
		if err != nil {
			return err
		}
		var swaps []drivers.Swap
		var at []int
		for i, value := range values {
			if left[i] > 0 {
				n, _ := strconv.Atoi(string(value))
				swaps = append(swaps, drivers.Swap{Key: keys[i], Old: value, New: strconv.AppendInt(nil, int64(n)+1, 10)})
				at = append(at, i)
			}
		}
		swapped, err := d.SwapMany(ctx, swaps)
		if err != nil {
			return err
		}
		for j, i := range at {
			if swapped[j] {
				left[i]--
			}
		}
	}
	return nil
}

func TestProcessesLoseNoUpdate(t *testing.T) {
	dir := t.TempDir()
	var all []*exec.Cmd
	for range processes {
		c := command(t, "counter", dir, "")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	d := open(t, dir, Options{})
	expect(t, d, "one", fmt.Sprint(processes*counts))
	expect(t, d, "two", fmt.Sprint(processes*counts))
}

const leaseRoundCount = 50

// leaseRounds says the number of each round whose lease it got.
func (d *Driver) leaseRounds(ctx context.Context, token string) error {
	for i := range leaseRoundCount {
		lent, err := d.LeaseMany(ctx, []string{strconv.Itoa(i)}, drivers.LeaseRequest{Token: token, TTL: time.Hour})
		if err != nil {
			return err
		}
		if lent[0].Taken {
			fmt.Println(i)
		}
	}
	return nil
}

func TestOneProcessIsLentAKey(t *testing.T) {
	dir := t.TempDir()
	var all []*exec.Cmd
	var outputs []io.Reader
	for p := range processes {
		c := command(t, "leaser", dir, fmt.Sprint("process ", p))
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all, outputs = append(all, c), append(outputs, out)
	}
	winners := make(map[string]int)
	for i, c := range all {
		for lines := bufio.NewScanner(outputs[i]); lines.Scan(); {
			winners[lines.Text()]++
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	for i := range leaseRoundCount {
		if n := winners[strconv.Itoa(i)]; n != 1 {
			t.Errorf("round %d: %d processes were lent the key", i, n)
		}
	}
}
