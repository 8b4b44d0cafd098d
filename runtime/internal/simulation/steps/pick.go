package steps

import "time"

// A Pick is an event that was chosen, and how much time passed before it. What it says is enough
// to find the event again: a list of picks repeats a run, and a list with fewer of them is
// another run that is much like it.
type Pick struct {
	Label string
	Wait  time.Duration // before the event
	Took  time.Duration // of an event that is about time
}

// Shrink leaves out picks of a run that fails, and shortens the times between them, as long as
// fails says that the run still fails in the same way. It asks most times at most.
//
// The method is that of Zeller and Hildebrandt, Simplifying and isolating failure-inducing input
// (2002).
func Shrink(picks []Pick, most int, fails func([]Pick) bool) []Pick {
	asked := 0
	try := func(some []Pick) bool {
		asked++
		return asked <= most && fails(some)
	}
	for parts := 2; len(picks) > 0 && asked <= most; {
		size := (len(picks) + parts - 1) / parts
		shorter := false
		for from := 0; from < len(picks) && !shorter; from += size {
			without := append(picks[:from:from], picks[min(from+size, len(picks)):]...)
			if shorter = try(without); shorter {
				picks = without
			}
		}
		switch {
		case shorter:
			parts = max(parts-1, 2)
		case size == 1:
			return shorten(picks, try)
		default:
			parts = min(2*parts, len(picks))
		}
	}
	return shorten(picks, try)
}

// shorten makes the times of picks as short as they may be.
func shorten(picks []Pick, try func([]Pick) bool) []Pick {
	for i := range picks {
		for _, change := range []func(*Pick){
			func(p *Pick) { p.Wait = min(p.Wait, time.Microsecond) },
			func(p *Pick) { p.Took = min(p.Took, time.Millisecond) },
			func(p *Pick) { p.Took /= 4 },
			func(p *Pick) { p.Took = p.Took.Truncate(100 * time.Millisecond) },
		} {
			changed := append([]Pick{}, picks...)
			if change(&changed[i]); changed[i] != picks[i] && try(changed) {
				picks = changed
			}
		}
	}
	return picks
}
