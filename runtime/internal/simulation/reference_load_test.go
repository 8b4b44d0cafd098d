package simulation

import "time"

// An outcome is what GetOrSet returns for a row, and when.
type outcome struct {
	version  int64
	notFound bool
	failed   int64 // the version of the load that failed; 0 if none did
	timedOut bool
	at       time.Duration
}

// timedOutLoad is the version of a remembered failure that was a hard timeout.
const timedOutLoad = -1

func (e *cached) outcome(at time.Duration) outcome {
	return outcome{version: e.version, notFound: e.notFound, at: at}
}

// fallbacks are what GetOrSet may return in place of the result of its load.
type fallbacks struct {
	failed *cached // if the load fails
	last   *cached // if it fails when failed has ended: what was in memory when the call came
	slow   *cached // if it takes longer than the soft timeout
}

// getOrSet returns what a caller gets. Of two rows the one with the larger version is the
// younger one. If the caller asks for other rows, too, it may get instead what alternative
// says: the result of a load that has ended while it waited for another row.
func (m *reference) getOrSet(process, row int, c call) (out, alternative outcome) {
	var f fallbacks
	if c.forced {
		f = m.fallbacksOfForced(process, row)
	} else {
		var done bool
		if out, f, done = m.lookup(process, row, c); done {
			return out, out
		}
	}
	out = m.load(process, row, f.failed, false, c)
	if (out.timedOut || out.failed != 0) && f.last.state(out.at) > gone {
		out = f.last.outcome(out.at)
	}
	if at := m.now + c.softTimeout; at < out.at && f.slow.state(at) > gone {
		return f.slow.outcome(at), out
	}
	return out, out
}

// lookup returns what a caller gets without a load of its own, or else, if done is false,
// its fallbacks. It loads in the background what is due.
func (m *reference) lookup(process, row int, c call) (out outcome, f fallbacks, done bool) {
	mine := m.memory[process][row]
	switch state := mine.state(m.now); {
	case state == fresh:
		m.refresh(process, row, mine, c)
		return mine.outcome(m.now), f, true
	case state > gone && m.now < mine.retryAt:
		return mine.outcome(m.now), f, true
	case state == stale && c.softTimeout == 0:
		out = mine.outcome(m.now)
		m.load(process, row, mine, true, c)
		return out, f, true
	case state > gone:
		f.failed, f.last = mine, mine.clone()
		if state == stale {
			f.slow = f.last
		}
	default:
		if failure := m.failures[process][row]; failure.state(m.now) == fresh && c.errorTTL > 0 {
			return outcome{failed: failure.version, at: m.now}, f, true
		}
	}
	switch theirs := m.shared[row]; theirs.state(m.now) {
	case fresh:
		e := m.recall(process, row, m.putMemory(m.now, process, row, theirs))
		delete(m.failures[process], row)
		out = e.outcome(m.now)
		m.refresh(process, row, e, c)
		return out, f, true
	case stale:
		if f.failed == nil || f.failed.version < theirs.version { // another process has loaded since
			f.failed = m.recall(process, row, m.putMemory(m.now, process, row, theirs))
			if m.now < f.failed.retryAt {
				return f.failed.outcome(m.now), f, true
			}
		}
		if f.slow == nil {
			f.slow = f.failed.clone()
		}
	}
	return out, f, false
}

// fallbacksOfForced returns those of a forced load: it waits, and may fail.
func (m *reference) fallbacksOfForced(process, row int) (f fallbacks) {
	if mine := m.memory[process][row]; mine.state(m.now) > gone && mine.grace > 0 {
		f.failed, f.last = mine, mine
	}
	theirs := m.shared[row]
	if theirs.state(m.now) > gone && theirs.grace > 0 && (f.failed == nil || f.failed.version < theirs.version) {
		f.failed = theirs.clone()
	}
	return f
}

// refresh loads a fresh row in the background if it is due.
func (m *reference) refresh(process, row int, e *cached, c call) {
	if m.now >= max(e.refreshAt, e.retryAt) && m.now < e.fresh && !e.notFound {
		m.load(process, row, e, true, c)
	}
}

// load calls the loader, unless, in the background, the shared tier has something better
// than what is to be replaced. It returns what those get who wait to the end. If the load
// fails, they get fallback, which is then not loaded again during the backoff.
func (m *reference) load(process, row int, fallback *cached, background bool, c call) outcome {
	switch theirs := m.shared[row]; {
	case !background:
	case theirs.state(m.now) == fresh && m.now < theirs.refreshAt:
		return m.putMemory(m.now, process, row, theirs).outcome(m.now)
	case theirs.state(m.now) == stale && fallback.version < theirs.version: // another process has loaded since
		fallback = m.putMemory(m.now, process, row, theirs)
	}
	m.loads++
	end := m.now + c.loader.delay
	m.busy = max(m.busy, end)
	if c.hardTimeout == 0 || c.loader.delay <= c.hardTimeout {
		return m.endLoad(end, process, row, fallback, false, c)
	}
	timeout := m.now + c.hardTimeout
	out := outcome{timedOut: true, at: timeout}
	if fallback.state(timeout) > gone {
		out = fallback.outcome(timeout)
		m.backOff(timeout, process, row, fallback, c.graceBackoff)
	} else {
		m.putFailure(timeout, process, row, timedOutLoad, c)
	}
	if c.loader.ignoresContext { // it goes on, and what it returns is kept
		m.endLoad(end, process, row, fallback, true, c)
	}
	return out
}

// endLoad keeps what a loader returns at a time, and returns what those get who wait for
// it. Of a load that has timed out, a failure is remembered already.
func (m *reference) endLoad(at time.Duration, process, row int, fallback *cached, timedOut bool, c call) outcome {
	switch {
	case c.loader.fails && fallback.state(at) > gone:
		m.backOff(at, process, row, fallback, c.graceBackoff)
		return fallback.outcome(at)
	case c.loader.fails:
		if !timedOut {
			m.putFailure(at, process, row, c.loader.version, c)
		}
		return outcome{failed: c.loader.version, at: at}
	case c.loader.findsNothing:
		if c.notFoundTTL > 0 {
			m.put(at, process, row, cached{notFound: true, tags: tagsOf(row, noVersion, c.tags)}, c)
		} else {
			delete(m.failures[process], row)
			delete(m.memory[process], row)
			delete(m.shared, row)
		}
		return outcome{notFound: true, at: at}
	}
	if c.ttl > 0 {
		m.put(at, process, row, cached{version: c.loader.version, tags: tagsOf(row, c.loader.version, c.tags)}, c)
	}
	return outcome{version: c.loader.version, at: at}
}
