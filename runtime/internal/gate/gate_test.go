package gate

import "testing"

func TestAClosedGateLetsNobodyInAndIsIdleWhenAllHaveLeft(t *testing.T) {
	var g Gate
	if !g.Enter() {
		t.Fatal("the zero gate is closed")
	}
	first, idle := g.Close()
	if again, same := g.Close(); !first || again || same != idle {
		t.Fatal("it is closed twice")
	}
	if g.Enter() {
		t.Fatal("work begins after the close")
	}
	g.EnterAgain()
	g.Leave()
	select {
	case <-idle:
		t.Fatal("idle although work is under way")
	default:
	}
	if g.Count() != 1 {
		t.Fatal(g.Count())
	}
	g.Leave()
	<-idle
}

func TestAGateWithoutWorkIsIdleAtOnce(t *testing.T) {
	var g Gate
	_, idle := g.Close()
	<-idle
}

func TestWhatWorkLeavesToBeDoneBeginsUntilAllIsDone(t *testing.T) {
	var g Gate
	if !g.EnterUnlessDone() || g.Count() != 1 {
		t.Fatal("the gate is open")
	}
	_, idle := g.Close()
	if !g.EnterUnlessDone() || g.Count() != 2 {
		t.Fatal("work is under way")
	}
	g.Leave()
	g.Leave()
	<-idle
	if g.EnterUnlessDone() || g.Count() != 0 {
		t.Fatal("all is done")
	}
}
