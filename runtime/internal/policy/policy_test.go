package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

func TestALevelThatIsSilentLeavesAnOptionToTheNext(t *testing.T) {
	stores := Options{TTL: Some(time.Hour), Grace: Some(time.Minute)}
	call := Options{TTL: Some(time.Second), SuppressL2Errors: Some(false)}
	p := Policy{SuppressL2Errors: true, GraceBackoff: 7}.Apply(stores).Apply(Options{}).Apply(call)
	if p.TTL != time.Second || p.Grace != time.Minute || p.GraceBackoff != 7 || p.SuppressL2Errors {
		t.Fatalf("%+v", p)
	}
	if p.NotFoundTTL != 0 {
		t.Error("that there is no value is remembered although no level says so")
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	for want, o := range map[string]Options{
		"Grace -1ns is negative":                      {Grace: Some(time.Duration(-1))},
		"RefreshPercent 100 is not":                   {Refresh: Some(Span{Percent: 100})},
		"BatchMax -1 is negative":                     {BatchMax: Some(-1)},
		"TTL 0s is not positive":                      {TTL: Some(time.Duration(0))},
		"HardTimeout 2s is not above Timeout 2s":      {SoftTimeout: Some(2 * time.Second), HardTimeout: Some(2 * time.Second)},
		"L1TTL 1h0m0s is above the TTL 1m0s":          {TTL: Some(time.Minute), L1TTL: Some(time.Hour)},
		"RefreshAfter 1m0s is not below the TTL 1m0s": {TTL: Some(time.Minute), Refresh: Some(Span{Time: time.Minute})},
		"TTL 1m0s is not above Jitter 1h0m0s":         {TTL: Some(time.Minute), Jitter: Some(Span{Time: time.Hour})},
		"JitterPercent -5 is not from 1 to 99, nor 0": {Jitter: Some(Span{Percent: -5})},
		"InvalidationErrors 2 is neither":             {InvalidationErrors: Some(Errors(2))},
	} {
		err := o.Check()
		if err == nil {
			err = Policy{}.Apply(o).Check()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
	if err := (Policy{}).Apply(Options{L1TTL: Some(time.Hour)}).Check(); err != nil {
		t.Error("refused before the TTL is known:", err)
	}
}

func TestJitterOnlyShortens(t *testing.T) {
	var n uint64
	source := func(string) uint64 { return n }
	p := Policy{Jitter: Span{Percent: 50}}
	n = 1 << 63
	for range 1000 {
		n += 1234567891
		if d := p.Fresh("", time.Minute, source); d < 30*time.Second || d > time.Minute {
			t.Fatal(d)
		}
	}
	if p.Fresh("", Forever, source) != Forever || p.Fresh("", 0, source) != 0 {
		t.Error("for ever, or nothing, has jitter")
	}
}

func TestDeadlines(t *testing.T) {
	p := Policy{Refresh: Span{Percent: 80}, L1TTL: 10}
	if got := p.RefreshAt(100, 200); got != 180 {
		t.Error(got)
	}
	if got := p.RefreshAt(100, clock.Never); got != clock.Never {
		t.Error("what is fresh for ever is refreshed at", got)
	}
	if got := p.RecheckAt(5); got != 15 {
		t.Error(got)
	}
	if got := new(Policy).RecheckAt(5); got != clock.Never {
		t.Error(got)
	}
}
