package flight

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func none() uint64 { return 0 }

func join(g *Group[int], key string) (*Flight[int], bool, bool) {
	return g.Join(key, false, &Batch{}, none)
}

func TestOneLeadsAndTheOthersJoin(t *testing.T) {
	g := NewGroup[int]()
	f, leader, joined := join(g, "a")
	if !leader || !joined {
		t.Fatal("the first one does not lead")
	}
	again, leader, joined := join(g, "a")
	if again != f || leader || !joined {
		t.Fatal("the second one does not join")
	}
	other, leader, _ := join(g, "b")
	if other == f || !leader || other.ID == f.ID {
		t.Fatal("another key is the same flight")
	}
	f.Finish(7, nil, false)
	<-f.Done()
	if v, err := f.Result(); v != 7 || err != nil {
		t.Fatal(v, err)
	}
	if f.Finish(8, nil, false) {
		t.Fatal("it finished twice")
	}
	if next, leader, _ := join(g, "a"); next == f || !leader {
		t.Fatal("the key is not free")
	}
}

// race R8: whoever comes after a flight has been taken out of the group begins one of
// his own, and the end of the old one does not take the new one out.
func TestTheEndOfAFlightLeavesALaterOneAlone(t *testing.T) {
	g := NewGroup[int]()
	old, _, _ := join(g, "a")
	g.Poison("a")
	later, leader, _ := join(g, "a")
	if !leader || later == old || !old.Poisoned() || later.Poisoned() {
		t.Fatal("a poisoned flight was joined")
	}
	old.Finish(1, nil, false)
	old.Release()
	if f, leader, _ := join(g, "a"); f != later || leader {
		t.Fatal("the later flight is abandoned")
	}
	g.PoisonAll()
	if !later.Poisoned() {
		t.Fatal("not all are poisoned")
	}
}

// race R7: a flight that has finished while its load goes on keeps its key.
func TestAKeyIsNotFreeBeforeItsLoadHasEnded(t *testing.T) {
	g := NewGroup[int]()
	f, _, _ := join(g, "a")
	f.Finish(0, errors.New("timeout"), true)
	waiting, leader, joined := join(g, "a")
	if waiting != f || leader || joined {
		t.Fatal("another load may begin")
	}
	select {
	case <-f.Released():
		t.Fatal("free")
	default:
	}
	f.Release()
	f.Release()
	<-f.Released()
	if _, leader, _ := join(g, "a"); !leader {
		t.Fatal("not free")
	}
}

// race R11: the load is cancelled when the last one leaves, not when the leader does.
func TestTheLastToLeaveCancels(t *testing.T) {
	g := NewGroup[int]()
	batch := &Batch{}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer batch.OnAbandoned(cancel)()
	a, _, _ := g.Join("a", false, batch, none)
	b, _, _ := g.Join("b", false, batch, none)
	follower, _, _ := join(g, "a")
	a.Leave()
	b.Leave()
	if ctx.Err() != nil {
		t.Fatal("cancelled although one waits")
	}
	follower.Leave()
	if !errors.Is(context.Cause(ctx), ErrNoWaiters) {
		t.Fatal(context.Cause(ctx))
	}
	if _, leader, joined := join(g, "a"); leader || joined {
		t.Fatal("a load that was given up is joined, or overtaken")
	}
}

func TestADesertedLoadThatBeginsLateIsCancelledAtOnce(t *testing.T) {
	g := NewGroup[int]()
	batch := &Batch{}
	f, _, _ := g.Join("a", false, batch, none)
	f.Leave()
	ctx, cancel := context.WithCancelCause(t.Context())
	batch.OnAbandoned(cancel)
	if ctx.Err() == nil {
		t.Fatal("it goes on")
	}
}

func TestALoadInTheBackgroundGoesOnAlone(t *testing.T) {
	g := NewGroup[int]()
	batch := &Batch{}
	f, leader, _ := g.Join("a", true, batch, none)
	if !leader || !batch.Background() {
		t.Fatal("not in the background")
	}
	if _, leader, joined := g.Join("a", true, &Batch{}, none); leader || joined {
		t.Fatal("a second one does what is being done")
	}
	follower, _, joined := join(g, "a")
	if follower != f || !joined {
		t.Fatal("nobody can join")
	}
	follower.Leave()
	if batch.abandoned {
		t.Fatal("given up")
	}
	f.Finish(1, nil, false)
}

func TestALoadIsDetachedOnce(t *testing.T) {
	g := NewGroup[int]()
	batch := &Batch{}
	f, _, _ := g.Join("a", false, batch, none)
	asked := 0
	f.Detach(func() bool { asked++; return false })
	f.Detach(func() bool { asked++; return true })
	f.Detach(func() bool { asked++; return true })
	if asked != 2 || !batch.Background() {
		t.Fatal(asked, batch.Background())
	}
	f.Leave()
	if batch.abandoned {
		t.Fatal("given up")
	}
	f.Finish(1, nil, false)
	f.Detach(func() bool { t.Error("asked after it had finished"); return true })
}

func TestWhoGoesPastAFlightSharesTheNext(t *testing.T) {
	g := NewGroup[int]()
	slow, _, _ := join(g, "a")
	past, leader := g.Beside(slow, &Batch{}, none)
	if past == nil || !leader || past == slow {
		t.Fatal("nobody goes past")
	}
	if again, leader := g.Beside(slow, &Batch{}, none); again != past || leader {
		t.Fatal("the second one does not share it")
	}
	if !past.Claim() || slow.Claim() || !slow.Poisoned() || past.Poisoned() {
		t.Fatal("both results are kept, or none")
	}
	slow.Finish(1, nil, false)
	slow.Release()
	if f, leader := g.Beside(slow, &Batch{}, none); f != nil || leader {
		t.Fatal("it is in the way although it has ended")
	}
}

// However many flights hang, a caller who comes waits for one of them.
func TestTheLastOfFlightsThatHangIsShared(t *testing.T) {
	g := NewGroup[int]()
	first, _, _ := join(g, "a")
	second, _ := g.Beside(first, &Batch{}, none)
	third, leader := g.Beside(second, &Batch{}, none)
	if !leader {
		t.Fatal("nobody goes past the second")
	}
	if f, leader, joined := join(g, "a"); f != third || leader || !joined {
		t.Fatal("whoever comes does not join the last")
	}
	if f, leader := g.Beside(first, &Batch{}, none); f != third || leader {
		t.Fatal("whoever goes past the first does not share the last")
	}
	if f, leader := g.Beside(third, &Batch{}, none); f == third || !leader {
		t.Fatal("nobody goes past the last")
	}
}

func TestReplaceBeginsAnew(t *testing.T) {
	g := NewGroup[int]()
	old, _, _ := join(g, "a")
	f := g.Replace("a", &Batch{}, func() uint64 { return 5 })
	if !f.Forced || f.Epoch != 5 || !old.Poisoned() {
		t.Fatal("the old one may be kept")
	}
	if again, leader, _ := join(g, "a"); again != f || leader {
		t.Fatal("nobody joins the new one")
	}
}

func TestAnAbandonedFlightFreesItsKeyAndKeepsNothing(t *testing.T) {
	g := NewGroup[int]()
	f, _, _ := join(g, "a")
	f.Abandon()
	<-f.Released()
	if _, leader, _ := join(g, "a"); !leader || f.Claim() {
		t.Fatal("it is in the way, or its result is kept")
	}
}

func TestWhatIsOffered(t *testing.T) {
	g := NewGroup[int]()
	f, _, _ := join(g, "a")
	select {
	case <-f.Offered():
		t.Fatal("offered")
	default:
	}
	f.Offer(3)
	<-f.Offered()
	if v, at := f.Fallback(); v != 3 || at.IsZero() {
		t.Fatal(v, at)
	}
}

// However many come and go at once, there is one load at a time, and nobody hangs.
func TestManyComeAndGo(t *testing.T) {
	g := NewGroup[int]()
	var running, loads sync.Map
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				key := string(rune('a' + n%3))
				f, leader, joined := join(g, key)
				switch {
				case leader:
					if _, other := running.LoadOrStore(key, i); other {
						t.Error("two loads at a time")
					}
					loads.Store(n, true)
					running.Delete(key)
					f.Finish(n, nil, false)
					f.Release()
					f.Leave()
				case joined:
					<-f.Done()
					f.Leave()
				default:
					<-f.Released()
				}
			}
		})
	}
	all.Wait()
}
