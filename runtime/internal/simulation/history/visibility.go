package history

import (
	"slices"
	"time"
)

// Between processes an invalidation is not seen at once. This file says from when on it
// has to be.

// knownBy returns until when the process of r may not know of another one's invalidation.
func (c *checker) knownBy(r *Read, i *Invalidation) time.Duration {
	latest := Later(i.End.At, c.BusLatency)
	byAsking := Later(latest, c.Trust)
	graced := c.SourceFails && r.Grace
	if !c.Bus && i.ByKey || graced || c.tierFailedSince(r.Process, i) {
		byAsking = Never // nothing tells it, or nothing answers when it asks
	}
	missed := !c.Bus
	var byReconnecting time.Duration // after each time that may have kept the message from it
	for _, gone := range c.disconnected[r.Process] {
		switch {
		case gone.Start.At > latest || gone.End.At < i.Start.At:
			continue
		case gone.End.At < i.End.At: // the message was sent after that
			byReconnecting = max(byReconnecting, latest)
		case graced: // what is in memory is unconfirmed, and nothing answers when it asks
			byReconnecting = Never
		default: // what is in memory is unconfirmed
			byReconnecting = max(byReconnecting, gone.End.At)
		}
		missed = true
	}
	if !missed {
		return latest
	}
	if byReconnecting > 0 {
		byAsking = min(byAsking, byReconnecting)
	}
	return max(byAsking, latest)
}

// tierFailedSince reports whether a process could not read the shared tier since i. It
// returns what is in memory then.
func (c *checker) tierFailedSince(process int, i *Invalidation) bool {
	return slices.ContainsFunc(c.failedReads[process], i.Start.before)
}

// writtenByAnother reports whether another process than that of i wrote v to the shared
// tier after i had begun: only a lease could keep it from that.
func (c *checker) writtenByAnother(v *Version, i *Invalidation) bool {
	return slices.ContainsFunc(c.tierWrites, func(t Transfer) bool {
		return t.Process != i.Process && i.Start.before(t.when) && t.carries(v)
	})
}

// readFromTierSince reports whether the process of r got v from the shared tier after i
// had begun.
func (c *checker) readFromTierSince(r *Read, v *Version, i *Invalidation) bool {
	return slices.ContainsFunc(c.tierReads, func(t Transfer) bool {
		return t.Process == r.Process && i.Start.before(t.when) && t.carries(v)
	})
}
