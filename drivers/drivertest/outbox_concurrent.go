package drivertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// Several processes take at the same time: each entry goes to one of them.
func outboxOneTaker(t *testing.T, o outbox) {
	const entries, processes = 300, 6
	var all []drivers.OutboxEntry
	for i := range entries {
		all = append(all, o.entry(fmt.Sprint(i)))
	}
	o.commitEntries(0, all...)
	var mu sync.Mutex
	takers := make(map[string]int)
	var running sync.WaitGroup
	for range processes {
		other := o.another()
		running.Go(func() {
			for {
				taken := other.take(7)
				mu.Lock()
				for _, e := range taken {
					takers[string(e.Payload)]++
				}
				done := len(takers) == entries
				mu.Unlock()
				if done || o.ctx.Err() != nil || t.Failed() {
					return
				}
			}
		})
	}
	running.Wait()
	for payload, n := range takers {
		if n != 1 {
			t.Errorf("entry %s was taken %d times", payload, n)
		}
	}
	if len(takers) != entries {
		t.Errorf("%d of %d were taken", len(takers), entries)
	}
}

// A transaction of the program neither fails nor waits because entries are taken, put back and
// removed meanwhile. What it has appended comes through once.
func outboxNobodyWaits(t *testing.T, o outbox) {
	const writers, transactions, readers = 4, 30, 3
	written := make(map[string]bool)
	carried := make(map[string]bool)
	var mu sync.Mutex
	var writing, reading sync.WaitGroup
	writersDone := make(chan struct{})
	var oneWriter sync.Mutex
	for w := range writers {
		own := o.another()
		writing.Go(func() {
			for i := range transactions {
				payload := fmt.Sprintf("%d-%d", w, i)
				if o.db.OneWriter {
					oneWriter.Lock()
				}
				tx := o.db.Begin(t)
				err := own.Append(o.ctx, tx.Exec, []drivers.OutboxEntry{own.entry(payload)}, 0)
				commit := i%5 != 0
				if err == nil && commit {
					err = tx.Commit()
				} else if errEnd := tx.Rollback(); err == nil {
					err = errEnd
				}
				if o.db.OneWriter {
					oneWriter.Unlock()
				}
				if err != nil {
					t.Errorf("a transaction failed: %v", err)
					return
				}
				if commit {
					mu.Lock()
					written[payload] = true
					mu.Unlock()
				}
			}
		})
	}
	for range readers {
		own := o.another()
		reading.Go(func() {
			for round := 0; ; round++ {
				last := false
				select {
				case <-writersDone:
					last = true
				default:
				}
				taken := own.take(5)
				if len(taken) > 0 && round%3 == 0 {
					must(t, "Postpone", own.Postpone(o.ctx, ids(taken...), 0))
					continue
				}
				must(t, "Remove", own.Remove(o.ctx, ids(taken...)))
				mu.Lock()
				for _, e := range taken {
					if carried[string(e.Payload)] {
						t.Errorf("entry %q came again after it was removed", e.Payload)
					}
					carried[string(e.Payload)] = true
				}
				done := last && len(taken) == 0 && len(carried) >= len(written)
				mu.Unlock()
				if done || o.ctx.Err() != nil || t.Failed() {
					return
				}
			}
		})
	}
	writing.Wait()
	close(writersDone)
	reading.Wait()
	for payload := range written {
		if !carried[payload] {
			t.Errorf("entry %q was lost", payload)
		}
	}
	for payload := range carried {
		if !written[payload] {
			t.Errorf("entry %q was not committed", payload)
		}
	}
	o.expect("after all")
}

func outboxNotifies(t *testing.T, o outbox) {
	ears := make([]*listener, 2)
	for i := range ears {
		notifier, ok := drivers.OutboxNotifierOf(o.db.Open(t))
		if !ok {
			t.Fatal("one notifies, another does not")
		}
		ears[i] = &listener{t: t}
		stop, err := notifier.Notify(ears[i])
		must(t, "Notify", err)
		t.Cleanup(func() {
			stop()
			ears[i].end()
		})
		ears[i].waitFor("up")
	}
	heard := func(n int) func() bool {
		return func() bool { return len(ears[0].received()) >= n && len(ears[1].received()) >= n }
	}
	tx := o.append(0, o.entry("a"), o.entry("b"))
	must(t, "rollback", tx.Rollback())
	tx = o.append(0, o.entry("a"), o.entry("b"))
	time.Sleep(50 * time.Millisecond)
	for _, ear := range ears {
		if n := len(ear.received()); n > 0 {
			t.Errorf("%d messages before a commit", n)
		}
	}
	must(t, "commit", tx.Commit())
	eventually(t, "both hear of the commit", heard(1))
	o.expect("when it was heard", "a", "b")
	o.commit("c")
	eventually(t, "both hear of the next", heard(2))
	for _, message := range ears[0].received() {
		if len(message) > 0 {
			t.Errorf("a message of %d bytes", len(message))
		}
	}
}

// OutboxFaults tests an outbox while its server is stopped or does not answer. All tests use the
// one server that db has, one test after the other.
func OutboxFaults(t *testing.T, db OutboxDatabase, faults Faults) {
	if faults.Pause != nil {
		t.Run("SilentServer", func(t *testing.T) { outboxSilent(t, newOutbox(t, db), faults) })
	}
	if faults.Stop != nil {
		t.Run("StoppedServer", func(t *testing.T) { outboxStopped(t, newOutbox(t, db), faults) })
	}
}

// outboxSilent: no call of who carries out waits for a server without an answer after its context
// has ended. A transaction belongs to the caller, and so does its patience.
func outboxSilent(t *testing.T, o outbox, faults Faults) {
	o.commit("a")
	taken := o.expect("first", "a")
	must(t, "Postpone", o.Postpone(o.ctx, ids(taken...), 0))
	operations := o.operations(OutboxTransaction{})
	delete(operations, "Append")
	faults.Pause()
	resume := sync.OnceFunc(faults.Resume)
	defer resume()
	var running sync.WaitGroup
	for name, operation := range operations {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(o.ctx, 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := operation.run(ctx)
			if took := time.Since(start); err == nil || took > patience/4 {
				t.Errorf("%s: %v after %s", name, err, took)
			}
		})
	}
	running.Wait()
	must(t, "Close", o.Close())
	resume()
	o.another().await("it goes on", "a")
}

// outboxStopped: what was committed is there when the server is, whatever connections there were.
func outboxStopped(t *testing.T, o outbox, faults Faults) {
	o.commit("a", "b")
	taken := o.expect("first", "a", "b")
	must(t, "Postpone", o.Postpone(o.ctx, ids(taken...), 0))
	faults.Stop()
	restart := sync.OnceFunc(faults.Restart)
	defer restart()
	for name, operation := range o.operations(OutboxTransaction{}) {
		if name == "Append" {
			continue
		}
		if err := operation.run(o.ctx); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			o.mustName(err, operation.verb)
		}
	}
	restart()
	var got []drivers.OutboxEntry
	eventually(t, "it goes on", func() bool {
		more, err := o.Take(o.ctx, drivers.OutboxRequest{Stores: []string{o.store}, Max: 10, Hold: time.Hour})
		got = append(got, more...)
		return err == nil && len(got) == 2
	})
	must(t, "Remove", o.Remove(o.ctx, ids(got...)))
	o.expect("after all")
}
