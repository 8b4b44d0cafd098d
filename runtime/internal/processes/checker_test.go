package processes

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Findings are what a run has shown.
type findings struct {
	reads, writes, failed int           // writes that returned an error, and reads
	readErrors            []string      // a reader must never get one
	own                   []string      // older than an invalidation of the same process
	late                  []string      // older than one of another process, beyond the bound
	worst                 time.Duration // the longest time after which another's old value was read
}

// An invalidation is a write as the checker sees it.
type invalidation struct {
	version, end int64
	process      int
	failed       bool
}

// check looks for reads of what was too old. Failed invalidations count for their own process
// alone: it must not serve what it could not delete elsewhere.
func check(events []report, bound time.Duration) findings {
	var f findings
	writes := make(map[int][]invalidation)
	for _, e := range events {
		if e.Event == "write" && e.Version > 0 {
			f.writes++
			if e.Err != "" {
				f.failed++
			}
			writes[e.Row] = append(writes[e.Row], invalidation{e.Version, e.End, e.Process, e.Err != ""})
		}
	}
	for _, of := range writes {
		slices.SortFunc(of, func(a, b invalidation) int { return int(a.end - b.end) })
	}
	for _, e := range events {
		if e.Event != "read" {
			continue
		}
		f.reads++
		if e.Err != "" {
			f.readErrors = append(f.readErrors, fmt.Sprintf("process %d, row %d: %s", e.Process, e.Row, e.Err))
			continue
		}
		for _, w := range writes[e.Row] {
			if w.end >= e.Start {
				break
			}
			if w.version <= e.Version {
				continue
			}
			age := time.Duration(e.Start - w.end)
			what := func() string {
				return fmt.Sprintf("process %d read version %d of row %d (kind %d), %v after process %d had invalidated it with version %d (failed: %v)",
					e.Process, e.Version, e.Row, kindOf(e.Row), age, w.process, w.version, w.failed)
			}
			switch {
			case w.process == e.Process:
				f.own = append(f.own, what())
			case w.failed:
			default:
				f.worst = max(f.worst, age)
				if age > bound {
					f.late = append(f.late, what())
				}
			}
		}
	}
	return f
}

func (f *findings) report(t *testing.T) {
	t.Helper()
	t.Logf("%d reads, %d writes, %d of which failed; another process's invalidation was seen at most %v late", f.reads, f.writes, f.failed, f.worst)
	some := func(what string, lines []string) {
		if len(lines) > 0 {
			t.Errorf("%d %s, for example:\n%s", len(lines), what, lines[0])
			for _, line := range lines[1:min(len(lines), 4)] {
				t.Log(line)
			}
		}
	}
	some("readers got an error", f.readErrors)
	some("own stale reads", f.own)
	some("stale reads beyond the bound", f.late)
}

func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	ms := int64(time.Millisecond)
	write := func(process int, version, end int64, failed string) report {
		return report{Event: "write", Process: process, Row: 1, Version: version, End: end * ms, Err: failed}
	}
	read := func(process int, version, start int64) report {
		return report{Event: "read", Process: process, Row: 1, Version: version, Start: start * ms, End: start*ms + 1}
	}
	for name, test := range map[string]struct {
		events    []report
		own, late int
	}{
		"new":                       {[]report{write(0, 2, 10, ""), read(0, 2, 11), read(1, 2, 11)}, 0, 0},
		"own":                       {[]report{write(0, 2, 10, ""), read(0, 1, 11)}, 1, 0},
		"own, failed":               {[]report{write(0, 2, 10, "x"), read(0, 1, 11)}, 1, 0},
		"before":                    {[]report{write(0, 2, 10, ""), read(0, 1, 10)}, 0, 0},
		"another's within":          {[]report{write(0, 2, 10, ""), read(1, 1, 100)}, 0, 0},
		"another's beyond":          {[]report{write(0, 2, 10, ""), read(1, 1, 200)}, 0, 1},
		"another's, failed":         {[]report{write(0, 2, 10, "x"), read(1, 1, 200)}, 0, 0},
		"another's, not the latest": {[]report{write(0, 2, 10, ""), write(0, 3, 150, ""), read(1, 2, 200)}, 0, 0},
	} {
		f := check(test.events, 100*time.Millisecond)
		if len(f.own) != test.own || len(f.late) != test.late {
			t.Errorf("%s: %d own, %d late", name, len(f.own), len(f.late))
		}
	}
}
