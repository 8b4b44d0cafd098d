package history

// Some things happen once: a pull of a value, a load of a row while another one runs.

// checkPulls finds versions that two callers of one process have both pulled.
func (c *checker) checkPulls() {
	type pulled struct {
		process int
		version int64
	}
	last := make(map[pulled]*Read)
	for _, r := range c.reads {
		if !r.Pulled {
			continue
		}
		what := pulled{r.Process, r.Version}
		if other := last[what]; other != nil && other.overlaps(r.Span) {
			c.report(r.Row, "%v and %v: version %d was pulled twice", other, r, r.Version)
		}
		last[what] = r
	}
}

// checkLoads finds loads of one row that ran beside each other in one process, although
// nothing in between let the second one begin.
func (c *checker) checkLoads() {
	for _, a := range c.versions {
		for _, b := range c.versions {
			beside := a.Row == b.Row && a.Process == b.Process && a.Start.before(b.Start) && b.Start.before(a.End)
			if beside && !a.Set && !b.Set && !b.Forced && !c.mayLoadBeside(a, b) {
				c.report(a.Row, "%v and %v were loaded at once", a, b)
			}
		}
	}
}

// mayLoadBeside reports whether load b, of the same row and process, was right not to
// wait for load a: the row may have been invalidated since one of their callers came.
func (c *checker) mayLoadBeside(a, b *Version) bool {
	came := min(a.Caller.Count, b.Caller.Count)
	cameAt := min(a.Caller.At, b.Caller.At)
	for _, i := range c.invalidations {
		if !i.touches(b.Row) || i.Start.Count > b.Start.Count {
			continue
		}
		switch {
		case i.err != nil: // it is repeated, and others are told, some time later
			return true
		case i.End.Count > came:
			return true
		case i.Process != a.Process && Later(i.End.At, 2*c.BusLatency) >= cameAt: // heard late
			return true
		}
	}
	for _, gone := range c.disconnected[a.Process] {
		if gone.End.At >= cameAt && gone.End.At <= b.Start.At { // it has dropped what was in memory
			return true
		}
	}
	return false
}
