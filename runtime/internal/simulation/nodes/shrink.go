package nodes

import "time"

// shrink leaves out picks of a run that fails, and shortens the times between them, as long as
// fails says that it fails in the same way. It tries most times at most. The method is that of
// Zeller and Hildebrandt, Simplifying and isolating failure-inducing input (2002).
func shrink(picks []pick, most int, fails func([]pick) bool) []pick {
	tries := 0
	try := func(some []pick) bool {
		tries++
		return tries <= most && fails(some)
	}
	for parts := 2; len(picks) > 0 && tries <= most; {
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
func shorten(picks []pick, try func([]pick) bool) []pick {
	for i := range picks {
		for _, change := range []func(*pick){
			func(p *pick) { p.wait = time.Microsecond },
			func(p *pick) { p.took = min(p.took, time.Millisecond) },
			func(p *pick) { p.took /= 4 },
			func(p *pick) { p.took = p.took.Truncate(100 * time.Millisecond) },
		} {
			changed := append([]pick{}, picks...)
			if change(&changed[i]); changed[i] != picks[i] && try(changed) {
				picks = changed
			}
		}
	}
	return picks
}
