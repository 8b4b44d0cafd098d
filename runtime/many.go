package runtime

import (
	"context"
	"errors"
	"fmt"
)

// A many is a call for several keys: what has been found, and what has not.
type many struct {
	found  []any // keys
	values []any // of found

	open  []any  // keys
	wants []want // of open
	errs  []error
}

// A lookup returns the value that a loader of many keys has returned for one.
type lookup func(key any) (any, bool)

// A manyLoader loads the values of keys.
type manyLoader func(ctx context.Context, missing []any) (lookup, error)

// getMany is [Cache.GetMany]. It returns nil if there was nothing to look in.
func (c *untypedCache) getMany(ctx context.Context, keys []any, options []CallOption) (*many, error) {
	k, err := c.core()
	if err != nil {
		return nil, err
	}
	given := given(k.settings, options)
	m := c.many(k, keys, false)
	if len(m.wants) == 0 {
		return m, m.err()
	}
	items, err := k.getMany(ctx, m.wants, &given)
	m.failed(err)
	for i, it := range items {
		if it != nil && c.definition.Fits(it.value) {
			m.add(m.open[i], k.own(it.value))
		}
	}
	return m, m.err()
}

// getOrSetMany is [Cache.GetOrSetMany]. It returns nil if there was nothing to look in.
func (c *untypedCache) getOrSetMany(ctx context.Context, keys []any, load manyLoader, options []CallOption) (*many, error) {
	k, err := c.core()
	if err != nil {
		return nil, err
	}
	if load == nil {
		return nil, fmt.Errorf("cachegen: GetOrSetMany of %s: the loader is nil", c.label())
	}
	given := given(k.settings, options)
	m := c.many(k, keys, given.forceFresh)
	if len(m.wants) == 0 {
		return m, m.err()
	}
	if k.function.off.Load() {
		m.loadPast(ctx, m.open, load)
		return m, m.err()
	}
	for i, key := range m.open {
		m.wants[i].tags = c.tags(key, given.tags)
	}
	open := m.open // all that a load in the background keeps of m
	rq := request{set: given.settings, forceFresh: given.forceFresh, many: true, load: func(ctx context.Context, parts []*part) error {
		missing := make([]any, len(parts))
		for i, p := range parts {
			missing[i] = open[p.n]
		}
		values, err := load(ctx, missing)
		var partial *PartialError
		if errors.As(err, &partial) {
			err = partial.Err
		} else if err != nil {
			return err
		}
		for i, p := range parts {
			p.value, p.found = values(missing[i])
		}
		return err
	}}
	searches, err := k.getOrSetMany(ctx, &rq, m.wants)
	m.failed(err)
	var strange []any
	for _, q := range searches {
		switch key := open[q.n]; {
		case q.err == errUnloaded:
		case q.err != nil && q.it == nil:
			m.failed(q.err)
		case q.it.presence == notFound && k.notFound == nil:
			strange = append(strange, key)
		case q.it.presence == present:
			if c.definition.Fits(q.it.value) {
				m.add(key, k.own(q.it.value))
			} else {
				strange = append(strange, key)
			}
		}
	}
	if len(strange) > 0 { // another handle caches another type under these keys
		m.loadPast(ctx, strange, load)
	}
	return m, m.err()
}

// many begins a call for keys with those that memory has good values of, unless it
// is to be forced.
func (c *untypedCache) many(k *core, keys []any, forced bool) *many {
	m := &many{}
	seen := make(map[any]struct{}, len(keys))
	var room [128]byte
	for _, key := range keys {
		if _, again := seen[key]; again {
			continue
		}
		seen[key] = struct{}{}
		full, err := c.appendFull(room[:0], k, key)
		if err != nil {
			m.failed(err)
			continue
		}
		if !forced {
			if it := k.hit(full[len(k.base):]); it != nil && c.definition.Fits(it.value) {
				if it.presence == present {
					m.add(key, k.own(it.value))
				}
				continue
			}
		}
		w := want{key: string(full), n: len(m.wants)}
		w.hash = k.store.hash(w.key)
		m.open, m.wants = append(m.open, key), append(m.wants, w)
	}
	return m
}

// add adds a key's value to the result.
func (m *many) add(key, value any) { m.found, m.values = append(m.found, key), append(m.values, value) }

// loadPast loads keys past the cache.
func (m *many) loadPast(ctx context.Context, keys []any, load manyLoader) {
	values, err := load(apart(ctx), keys)
	m.failed(err)
	var partial *PartialError
	if err != nil && !errors.As(err, &partial) {
		return
	}
	for _, key := range keys {
		if v, ok := values(key); ok {
			m.add(key, v)
		}
	}
}

// failed adds an error, unless one of the same text is there: that of one load for
// several keys.
func (m *many) failed(err error) {
	if err == nil {
		return
	}
	for _, other := range m.errs {
		if other.Error() == err.Error() {
			return
		}
	}
	m.errs = append(m.errs, err)
}

func (m *many) err() error {
	if len(m.errs) == 1 {
		return m.errs[0]
	}
	return errors.Join(m.errs...)
}
