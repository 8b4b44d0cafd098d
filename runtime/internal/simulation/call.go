package simulation

import (
	"time"

	"github.com/cachegen/cachegen/runtime"
)

// A call is what one caller asks for, and what its loader does.
type call struct {
	ttl, grace, graceBackoff              time.Duration
	softTimeout, hardTimeout, lockTimeout time.Duration
	errorTTL, notFoundTTL                 time.Duration

	tags   []runtime.Tag
	forced bool

	loader loader
}

// A loader takes its delay, and then returns a version, fails, or finds no row.
type loader struct {
	version        int64 // of what it returns, or of its failure; 0 where a history gives the numbers
	delay          time.Duration
	ignoresContext bool // it does not end early when its context does

	fails, findsNothing, panics bool
}

// stored are the options of a call that stores.
func (c call) stored() []runtime.CallOption {
	return []runtime.CallOption{
		runtime.TTL(c.ttl), runtime.Grace(c.grace), runtime.NotFoundTTL(c.notFoundTTL), runtime.Tags(c.tags...),
	}
}

// options are those of a call that loads.
func (c call) options() []runtime.CallOption {
	o := append(c.stored(), runtime.GraceBackoff(c.graceBackoff), runtime.ErrorTTL(c.errorTTL),
		runtime.Timeout(c.softTimeout), runtime.HardTimeout(c.hardTimeout), runtime.LockTimeout(c.lockTimeout))
	if c.forced {
		o = append(o, runtime.ForceFresh())
	}
	return o
}
