package check

import (
	"time"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/templates"
)

// readOptions combines a directive's options with the defaults of the wrapped type.
func readOptions(c *facts.Cache) {
	levels := c.Levels()
	c.Store, c.Namespace = facts.OptionText(levels, "store"), facts.OptionText(levels, "namespace")
	for _, d := range levels {
		if _, ok := d.Flag("shared"); ok {
			c.Shared = true
		}
	}
	c.SharedSource = facts.OptionText(levels, "instances") != ""
	o := &c.Options
	o.TTL = duration(levels, "ttl")
	if o.TTL != nil && *o.TTL == directive.Forever {
		o.TTL, o.Forever = nil, true
	}
	o.L1TTL = duration(levels, "l1ttl")
	o.Grace = duration(levels, "grace")
	o.GraceBackoff = duration(levels, "gracebackoff")
	o.Timeout = duration(levels, "timeout")
	o.HardTimeout = duration(levels, "hardtimeout")
	o.LockTimeout = duration(levels, "locktimeout")
	o.NotFoundTTL = duration(levels, "notfoundttl")
	o.ErrorTTL = duration(levels, "errorttl")
	o.Errors = errorsOf(facts.OptionText(levels, "invalidationerrors"))
	o.Refresh, o.Jitter = amount(levels, "refresh"), amount(levels, "jitter")
}

func duration(levels []*directive.Directive, name string) *time.Duration {
	for _, d := range levels {
		if v, _, ok := d.Duration(name); ok {
			return &v
		}
	}
	return nil
}

func amount(levels []*directive.Directive, name string) *templates.Amount {
	for _, d := range levels {
		if v, percent, _, ok := d.Amount(name); ok {
			return &templates.Amount{Duration: v, Percent: percent}
		}
	}
	return nil
}
