package policy

import (
	"errors"
	"fmt"
	"time"
)

// A Call is what one call says besides its keys.
type Call struct {
	Options
	Tags       []string
	ForceFresh bool // load although there is a value
	AllowStale bool // a value in its grace period will do
	Forever    bool // the method stores a value that is fresh for ever
	Nil        bool // one of the options was nil
}

// A Method is one to which options can be given.
type Method uint8

// The methods. GetOrSetForever is GetOrSet with Call.Forever, and so is SetForever.
const (
	GetOrSet     Method = 1 << iota
	GetOrSetMany        // many keys
	Get
	GetMany
	Set
	SetOptions // of the entry that a loader loads
)

// The methods by what they do.
const (
	loading = GetOrSet | GetOrSetMany
	reading = Get | GetMany
	storing = loading | Set | SetOptions
)

// String returns the method's name.
func (m Method) String() string {
	switch m {
	case GetOrSet:
		return "GetOrSet"
	case GetOrSetMany:
		return "GetOrSetMany"
	case Get:
		return "Get"
	case GetMany:
		return "GetMany"
	case Set:
		return "Set"
	}
	return "SetOptions"
}

// A callOption is an option with the methods at which it has a meaning. At others it would do
// nothing, in silence.
type callOption struct {
	name  string
	given func(*Call) bool
	at    Method
	// forever says that it has a meaning for a value that is fresh for ever, too.
	forever bool
	// Why it has none at other methods, and what to do instead, by what the method does.
	load, read, set, entry string
}

// Why an option has no meaning, and what to do instead. The method comes before it.
const (
	storesNothing   = "stores nothing; give the option to the GetOrSet or Set that stores the value"
	loadsNothing    = "does not load; give the option to GetOrSet"
	hasItsContext   = "does not load; give its context a deadline"
	hasL2Timeout    = "does not load; the L2Timeout of the store bounds it"
	isForever       = "stores what is fresh for ever; call the method without Forever"
	comesTooLate    = "comes when the load has begun; give the option to GetOrSet"
	takesOneKey     = "takes one key, and this is about many; leave it out"
	loadsAnyway     = "is called in a load already; leave it out"
	changesNothing  = "changes nothing; leave it out"
	isSilent        = "tells other processes nothing; leave it out"
	servesStale     = "serves stale values without it, as long as their Grace lasts; leave it out"
	returnsNoValue  = "returns no value; leave it out"
	replaces        = "replaces the value in any case; leave it out"
	reportsFailures = "reports what fails as an InvalidationError; see InvalidationErrors"

	invalidatesNothing = "invalidates nothing; leave it out"
)

// callOptions says of each option at which methods it has a meaning.
var callOptions = []callOption{
	{
		name: "TTL", given: func(c *Call) bool { return c.TTL.Given },
		at:   storing,
		load: isForever, set: isForever, read: storesNothing,
	},
	{
		name: "Grace", given: func(c *Call) bool { return c.Grace.Given },
		at: storing, forever: true,
		read: storesNothing,
	},
	{
		name: "Jitter", given: func(c *Call) bool { return c.Jitter.Given && c.Jitter.Value.Percent == 0 },
		at:   storing,
		load: isForever, set: isForever, read: storesNothing,
	},
	{
		name: "JitterPercent", given: func(c *Call) bool { return c.Jitter.Value.Percent != 0 },
		at:   storing,
		load: isForever, set: isForever, read: storesNothing,
	},
	{
		name: "RefreshAfter", given: func(c *Call) bool { return c.Refresh.Given && c.Refresh.Value.Percent == 0 },
		at: storing, forever: true,
		read: storesNothing,
	},
	{
		name: "RefreshPercent", given: func(c *Call) bool { return c.Refresh.Value.Percent != 0 },
		at:   storing,
		load: isForever, set: isForever, read: storesNothing,
	},
	{
		name: "L1TTL", given: func(c *Call) bool { return c.L1TTL.Given },
		at: storing, forever: true,
		read: storesNothing,
	},
	{
		name: "NotFoundTTL", given: func(c *Call) bool { return c.NotFoundTTL.Given },
		at: storing, forever: true,
		read: storesNothing,
	},
	{
		name: "SkipL2Write", given: func(c *Call) bool { return c.SkipL2Write.Given },
		at: storing, forever: true,
		read: storesNothing,
	},
	{
		name: "Tags", given: func(c *Call) bool { return c.Tags != nil },
		at: storing, forever: true,
		read: storesNothing,
	},
	{
		name: "GraceBackoff", given: func(c *Call) bool { return c.GraceBackoff.Given },
		at: loading | SetOptions, forever: true,
		read: loadsNothing, set: loadsNothing,
	},
	{
		name: "ErrorTTL", given: func(c *Call) bool { return c.ErrorTTL.Given },
		at: loading | SetOptions, forever: true,
		read: loadsNothing, set: loadsNothing,
	},
	{
		name: "OnLoadError", given: func(c *Call) bool { return c.OnLoadError.Given },
		at: loading, forever: true,
		read: loadsNothing, set: loadsNothing, entry: comesTooLate,
	},
	{
		name: "Timeout", given: func(c *Call) bool { return c.SoftTimeout.Given },
		at: loading, forever: true,
		read: hasItsContext, set: hasL2Timeout, entry: comesTooLate,
	},
	{
		name: "HardTimeout", given: func(c *Call) bool { return c.HardTimeout.Given },
		at: loading, forever: true,
		read: hasItsContext, set: hasL2Timeout, entry: comesTooLate,
	},
	{
		name: "LockTimeout", given: func(c *Call) bool { return c.LockTimeout.Given },
		at: loading, forever: true,
		read: hasItsContext, set: hasL2Timeout, entry: comesTooLate,
	},
	{
		name: "ForceFresh", given: func(c *Call) bool { return c.ForceFresh },
		at: loading, forever: true,
		read: loadsNothing, set: replaces, entry: loadsAnyway,
	},
	{
		name: "SuppressL2Errors", given: func(c *Call) bool { return c.SuppressL2Errors.Given },
		at: loading | reading, forever: true,
		set: reportsFailures, entry: comesTooLate,
	},
	{
		name: "AllowStale", given: func(c *Call) bool { return c.AllowStale },
		at: reading, forever: true,
		load: servesStale, set: returnsNoValue, entry: returnsNoValue,
	},
	{
		name: "BatchMax", given: func(c *Call) bool { return c.BatchMax.Given },
		at: GetOrSetMany | GetMany, forever: true,
		load: takesOneKey, read: takesOneKey, set: takesOneKey, entry: comesTooLate,
	},
	{
		name: "SkipBusNotify", given: func(c *Call) bool { return c.SkipBusNotify.Given },
		at: Set, forever: true,
		load: isSilent, read: changesNothing, entry: isSilent,
	},
	{
		name: "InvalidationErrors", given: func(c *Call) bool { return c.InvalidationErrors.Given },
		at: Set, forever: true,
		load: invalidatesNothing, read: invalidatesNothing, entry: invalidatesNothing,
	},
}

// instead returns why the option has no meaning at a method, and what to do instead.
func (o *callOption) instead(m Method) string {
	switch {
	case m&loading != 0:
		return o.load
	case m&reading != 0:
		return o.read
	case m == Set:
		return o.set
	}
	return o.entry
}

// Check refuses options that have no meaning at a method, are wrong by themselves, or
// contradict each other. A TTL of zero stores nothing. A negative one is refused, but in a
// loader, which may count it from a time that is over by now.
func (c *Call) Check(m Method) error {
	if c.Nil {
		return errors.New("one of the options is nil")
	}
	for i := range callOptions {
		if o := &callOptions[i]; o.given(c) && (o.at&m == 0 || c.Forever && !o.forever) {
			return fmt.Errorf("%s has no meaning: %s %s", o.name, c.NameOf(m), o.instead(m))
		}
	}
	if err := c.Options.checkValues(); err != nil {
		return err
	}
	options := c.Options
	if ttl := c.TTL.Value; ttl <= 0 {
		if ttl < 0 && m != SetOptions {
			return fmt.Errorf("TTL %v is negative", ttl)
		}
		options.TTL = Opt[time.Duration]{} // nothing is stored
	}
	return Policy{}.Apply(options).Check()
}

// NameOf returns the name of the method that has been called.
func (c *Call) NameOf(m Method) string {
	if c.Forever {
		return m.String() + "Forever"
	}
	return m.String()
}
