package steps

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/cachegen/cachegen/runtime/internal/simulation/seeds" // flags
)

func picksOf(labels string) (picks []Pick) {
	for _, label := range strings.Fields(labels) {
		picks = append(picks, Pick{Label: label, Wait: time.Second, Took: 10 * time.Second})
	}
	return picks
}

func TestShrinkKeepsWhatIsNeededAndMakesItShort(t *testing.T) {
	asked := 0
	got := Shrink(picksOf("a b c d e f g h i j k l m"), 1000, func(some []Pick) bool {
		asked++
		at := func(label string) int { return slices.IndexFunc(some, func(p Pick) bool { return p.Label == label }) }
		return at("c") >= 0 && at("k") > at("c") && some[at("k")].Took >= 3*time.Second
	})
	if len(got) != 2 || got[0].Label != "c" || got[1].Label != "k" {
		t.Fatalf("%v", got)
	}
	if got[0].Took != 0 || got[0].Wait != time.Microsecond || got[1].Took > 10*time.Second {
		t.Errorf("%v", got)
	}
	if asked > 200 {
		t.Errorf("%d tries", asked)
	}
}

func TestShrinkGivesUp(t *testing.T) {
	asked := 0
	picks := picksOf("a b c d")
	if got := Shrink(picks, 3, func([]Pick) bool { asked++; return false }); asked != 3 || !slices.Equal(got, picks) {
		t.Errorf("%d tries, %v", asked, got)
	}
}

// gated runs a test at a gate, at which one party makes calls.
func gated(t *testing.T, test func(g *Gate, p *Party, ask func(ctx context.Context, c *Call) *error)) {
	synctest.Test(t, func(*testing.T) {
		g := NewGate()
		p := g.NewParty(0, "p")
		test(g, &p, func(ctx context.Context, c *Call) *error {
			err := errors.New("it waits")
			c.Party = &p
			go func() { err = g.Pass(ctx, c) }()
			synctest.Wait()
			g.Settle()
			return &err
		})
		g.End()
		synctest.Wait()
	})
}

func TestACallWaitsForItsEffectAndItsAnswer(t *testing.T) {
	gated(t, func(g *Gate, _ *Party, ask func(context.Context, *Call) *error) {
		var parts []int
		c := &Call{Name: "get", Parts: 3, Effect: func(from, to int) error { parts = append(parts, from, to); return nil }}
		err := ask(context.Background(), c)
		if c.Take(1); c.State != OnItsWay || c.Open() != 2 {
			t.Errorf("%v, %d are open", c.State, c.Open())
		}
		if c.Take(c.Open()); c.State != Answered || !slices.Equal(parts, []int{0, 1, 1, 3}) {
			t.Errorf("%v, %v", c.State, parts)
		}
		if synctest.Wait(); *err == nil {
			t.Error("it did not wait for its answer")
		}
		c.Reply(nil)
		synctest.Wait()
		if g.Settle(); *err != nil || len(g.Calls) != 0 {
			t.Errorf("%v, %d calls", *err, len(g.Calls))
		}
	})
}

func TestLabelsDoNotDependOnWhoCameFirst(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		g := NewGate()
		a, b := g.NewParty(0, "a"), g.NewParty(1, "b")
		for _, c := range []*Call{{Party: &b, Name: "x"}, {Party: &a, Name: "y"}, {Party: &a, Name: "x"}, {Party: &a, Name: "x"}} {
			go func() { _ = g.Pass(context.Background(), c) }()
		}
		synctest.Wait()
		g.Settle()
		var labels []string
		for _, c := range g.Calls {
			labels = append(labels, c.Label)
		}
		if want := []string{"a x", "a x #2", "a y", "b x"}; !slices.Equal(labels, want) {
			t.Errorf("%q, want %q", labels, want)
		}
		g.End()
	})
}

func TestWhoHasLeftMayStillTakeEffect(t *testing.T) {
	gated(t, func(g *Gate, _ *Party, ask func(context.Context, *Call) *error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c := &Call{Name: "set", Effect: func(int, int) error { return nil }}
		err := ask(ctx, c)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if g.Settle(); !errors.Is(*err, context.DeadlineExceeded) || !c.Left || len(g.Calls) != 1 {
			t.Errorf("%v, %v, %d calls", *err, c.Left, len(g.Calls))
		}
		c.Take(1)
		if g.Settle(); len(g.Calls) != 0 {
			t.Error("it is still there")
		}
	})
}

func TestWhoStandsStillNoticesNothing(t *testing.T) {
	gated(t, func(g *Gate, p *Party, ask func(context.Context, *Call) *error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Stop()
		c := &Call{Name: "set", Effect: func(int, int) error { return nil }}
		err := ask(ctx, c)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if g.Settle(); !c.Held() || c.Left || errors.Is(*err, context.DeadlineExceeded) {
			t.Errorf("held %v, left %v, %v", c.Held(), c.Left, *err)
		}
		p.GoOn()
		synctest.Wait()
		if g.Settle(); c.Held() || !c.Left || !errors.Is(*err, context.DeadlineExceeded) {
			t.Errorf("held %v, left %v, %v", c.Held(), c.Left, *err)
		}
		p.Die()
		if ask(context.Background(), &Call{Name: "get"}); len(g.Calls) != 1 {
			t.Errorf("%d calls, although it is dead", len(g.Calls))
		}
	})
}

// Timers of one instant fire in any order, and one that has failed may decide what the next does.
func TestThoseWhoseTimeIsOverTogetherLeaveInOrder(t *testing.T) {
	for range 10 {
		gated(t, func(g *Gate, p *Party, _ func(context.Context, *Call) *error) {
			var order []string
			for _, name := range strings.Fields("a b c d e f") {
				go func() {
					ctx, cancel := context.WithDeadline(context.Background(), g.At(time.Second))
					defer cancel()
					_ = g.Pass(ctx, &Call{Party: p, Name: name})
					order = append(order, name)
				}()
			}
			synctest.Wait()
			g.Settle()
			<-g.Leaving()
			synctest.Wait()
			if g.Settle(); strings.Join(order, " ") != "a b c d e f" {
				t.Errorf("they left as %q", order)
			}
		})
	}
}
