package flight

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func none() uint64 { return 0 }

func join(g *Group[int], key string) (*Flight[int], bool, bool) {
	seat := g.Join(key, false, &Batch{}, none)
	return seat.Flight, seat.Leader, seat.Joined
}

func beside(g *Group[int], slow *Flight[int]) (*Flight[int], bool) {
	seat := g.Beside(slow, &Batch{}, none)
	return seat.Flight, seat.Leader
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
	a := g.Join("a", false, batch, none).Flight
	b := g.Join("b", false, batch, none).Flight
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
	f := g.Join("a", false, batch, none).Flight
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
	seat := g.Join("a", true, batch, none)
	f := seat.Flight
	if !seat.Leader || seat.Joined || !batch.Background() {
		t.Fatal("not in the background")
	}
	if seat := g.Join("a", true, &Batch{}, none); seat.Leader || seat.Joined {
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
	f := g.Join("a", false, batch, none).Flight
	if !f.Detach() || batch.Background() {
		t.Fatal("detached although nobody allows it")
	}
	asked, allowed := 0, false
	batch.OnDetach(func() bool { asked++; return allowed })
	if !f.Detach() {
		t.Fatal("detached although it is refused")
	}
	allowed = true
	for range 2 {
		if f.Detach() {
			t.Fatal("not detached although it is allowed")
		}
	}
	if asked != 2 || !batch.Background() {
		t.Fatal(asked, batch.Background())
	}
	f.Leave()
	if batch.abandoned {
		t.Fatal("given up")
	}
	f.Finish(1, nil, false)
	if other, _, _ := join(g, "b"); other.Finish(1, nil, false) && other.Detach() {
		t.Error("refused after it had finished")
	}
}

func TestWhoGoesPastAFlightSharesTheNext(t *testing.T) {
	g := NewGroup[int]()
	slow, _, _ := join(g, "a")
	past, leader := beside(g, slow)
	if past == nil || !leader || past == slow {
		t.Fatal("nobody goes past")
	}
	if again, leader := beside(g, slow); again != past || leader {
		t.Fatal("the second one does not share it")
	}
	if !past.Claim() || slow.Claim() || !slow.Poisoned() || past.Poisoned() {
		t.Fatal("both results are kept, or none")
	}
	slow.Finish(1, nil, false)
	slow.Release()
	if f, leader := beside(g, slow); f != nil || leader {
		t.Fatal("it is in the way although it has ended")
	}
}

// However many flights hang, a caller who comes waits for one of them.
func TestTheLastOfFlightsThatHangIsShared(t *testing.T) {
	g := NewGroup[int]()
	first, _, _ := join(g, "a")
	second, _ := beside(g, first)
	third, leader := beside(g, second)
	if !leader {
		t.Fatal("nobody goes past the second")
	}
	if f, leader, joined := join(g, "a"); f != third || leader || !joined {
		t.Fatal("whoever comes does not join the last")
	}
	if f, leader := beside(g, first); f != third || leader {
		t.Fatal("whoever goes past the first does not share the last")
	}
	if f, leader := beside(g, third); f == third || !leader {
		t.Fatal("nobody goes past the last")
	}
}

func TestReplaceBeginsAnew(t *testing.T) {
	g := NewGroup[int]()
	old, _, _ := join(g, "a")
	f := g.Replace("a", g.Last(), nil, &Batch{}, func() uint64 { return 5 }).Flight
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

// However a load comes to be begun beside others, few of a key run. Who may not begin another
// one is told when one has ended, and joins a slow one until then.
func TestFewLoadsOfAKeyRunAtATime(t *testing.T) {
	g := NewGroup[int]()
	first, _, _ := join(g, "a")
	second, _ := beside(g, first)
	after := g.Last()
	forced := g.Replace("a", after, nil, &Batch{}, none).Flight
	g.Poison("a")
	last, leader, _ := join(g, "a")
	if !leader || len(g.Running("a")) != MaxLoads {
		t.Fatal(leader, g.Running("a"))
	}
	full := map[string]Seat[int]{
		"beside": g.Beside(last, &Batch{}, none),
		"forced": g.Replace("a", g.Last(), nil, &Batch{}, none),
	}
	if seat := g.Join("a", false, &Batch{}, none); seat.Flight != last || !seat.Joined || seat.Full {
		t.Error("the last one is not joined")
	}
	g.Poison("a")
	full["poisoned"] = g.Join("a", false, &Batch{}, none)
	full["background"] = g.Join("a", true, &Batch{}, none)
	for name, seat := range full {
		if seat.Leader || !seat.Full || seat.Joined != (name == "beside") || seat.Flight != last {
			t.Errorf("%s: %+v", name, seat)
		}
		select {
		case <-seat.Free:
			t.Errorf("%s: there is no room yet", name)
		default:
		}
	}
	if seat := g.Beside(last, &Batch{}, none); seat.Flight != nil {
		t.Error("a poisoned flight is gone past")
	}
	second.Finish(1, nil, true) // its load goes on
	forced.Abandon()
	for name, seat := range full {
		select {
		case <-seat.Free:
		default:
			t.Errorf("%s: nobody says that there is room", name)
		}
	}
	if f, leader, _ := join(g, "a"); !leader || len(g.Running("a")) != MaxLoads {
		t.Error(f, leader)
	}
	for _, f := range g.Running("a") {
		f.Finish(1, nil, false)
		f.Release()
	}
	if len(g.shard("a").keys) != 0 {
		t.Error("something is left of a key that nobody loads")
	}
}

// Who asks for a new load shares one that was begun after he came, and no other.
func TestANewLoadIsSharedByThoseWhoCameBeforeIt(t *testing.T) {
	g := NewGroup[int]()
	plain, _, _ := join(g, "a")
	came := g.Last()
	f := g.Replace("a", came, nil, &Batch{}, none)
	if !f.Leader || f.Flight == plain || !plain.Poisoned() {
		t.Fatal("what began before is shared")
	}
	if again := g.Replace("a", came, nil, &Batch{}, none); again.Flight != f.Flight || !again.Joined || again.Leader {
		t.Error("what began after is not shared")
	}
	if later := g.Replace("a", came, f.Flight, &Batch{}, none); !later.Leader {
		t.Error("nobody goes past a slow one")
	}
	if later := g.Replace("a", g.Last(), nil, &Batch{}, none); !later.Leader {
		t.Error("what began before is shared")
	}
}

// A load that waits for somebody else's is told when a caller has waited long enough, and a caller is
// told since when a load does not wait.
func TestWhoIsInAHurryEndsTheWaitOfALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := NewGroup[int](), &Batch{}
		f := g.Join("a", false, b, none).Flight
		defer f.Release()
		defer f.Finish(0, nil, false)
		if since := f.Hurry(); !since.IsZero() {
			t.Error("it has never waited, or since", since)
		}
		hurry := b.Await()
		if again := b.Await(); again != hurry {
			t.Error("another channel")
		}
		select {
		case <-hurry:
			t.Error("nobody is in a hurry: what was asked before it waited does not count")
		default:
		}
		b.Resume()
		resumed := time.Now()
		time.Sleep(time.Second)
		if since := f.Hurry(); since != resumed {
			t.Error("it does not wait since", since, resumed)
		}
		select {
		case <-hurry:
			t.Error("it has not waited when somebody was in a hurry")
		default:
		}
		b.Await()
		if since := f.Hurry(); since != time.Now() {
			t.Error(since)
		}
		<-hurry
		f.Hurry() // and once more
		<-b.Await()
	})
}
