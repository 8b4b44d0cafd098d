package runtime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/untyped"
)

// An untypedCache is all of a [Cache] but the types of its keys and values, which are in
// an any here. It is compiled once, however many functions are cached. A nil value is
// that of an interface type, or says that there is none. Package gen uses its exported
// methods.
type untypedCache struct {
	// definition and appendKey are set before the cache is shared, and not changed.
	definition untyped.Definition
	appendKey  keyAppender

	bound atomic.Pointer[core]
}

// Declare makes a cache of a zero one, which works once it is bound.
func (c *untypedCache) Declare(d untyped.Definition) { c.definition = d }

// store is [Cache.Store].
func (c *untypedCache) store() *Store {
	if k := c.bound.Load(); k != nil {
		return k.store
	}
	return nil
}

// Bind opens a declared cache on stores. It fails if the store that the definition names
// is not there, if options contradict each other, or if another function's keys in the
// store are written alike: the two would get each other's values. Binding again moves the
// cache. Callers that are in a method meanwhile end on the stores they began with.
func (c *untypedCache) Bind(stores Stores) error {
	d := &c.definition
	if d.KeyType == nil {
		return errors.New("cachegen: bind a zero Cache: make it with NewCache, or use that of generated code")
	}
	s, err := stores.Use(d.Store)
	if err != nil {
		return fmt.Errorf("cachegen: open %s: %w", c.label(), err)
	}
	var namespace []string
	if d.Namespace != "" {
		namespace = []string{d.Namespace}
	}
	if d.Instance != "" { // keys of instances are written alike
		namespace = append(namespace, d.Instance)
	}
	return c.bind(s, namespace, true)
}

// openAdHoc is [NewCache]. key and value are nil pointers to the types.
func (c *untypedCache) openAdHoc(in Keyspace, key, value any, options []Option) error {
	var s *Store
	var namespace []string
	if in != nil {
		s, namespace = in.keyspace()
	}
	if s == nil {
		return fmt.Errorf("%w: NewCache was given nil instead of a store or a namespace", ErrUnknownStore)
	}
	d := untyped.Definition{KeyType: reflect.TypeOf(key).Elem(), ValueType: reflect.TypeOf(value).Elem()}
	for _, o := range options {
		d.Options = append(d.Options, o)
	}
	c.Declare(d)
	return c.bind(s, namespace, true)
}

// bindInside makes of inner, a zero one, what [Cache.Namespace] returns.
func (c *untypedCache) bindInside(inner *untypedCache, name string) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	inner.Declare(c.definition)
	return inner.bind(k.store, append(slices.Clip(k.namespace), name), false)
}

// label is how errors call the cache.
func (c *untypedCache) label() string {
	d := &c.definition
	switch {
	case d.Name != "":
		return d.FullName()
	case d.KeyType == nil:
		return "a zero Cache"
	}
	return fmt.Sprintf("Cache[%v, %v]", d.KeyType, d.ValueType)
}

func (c *untypedCache) bind(s *Store, namespace []string, defined bool) error {
	d := &c.definition
	if c.appendKey == nil {
		appendKey, err := appenderOf(d.KeyType)
		if err != nil {
			return err
		}
		c.appendKey = appendKey
	}
	fn, overrides := s.function(d.Name)
	var given call
	for _, o := range d.Options {
		o, _ := o.(Option)
		if o == nil {
			return fmt.Errorf("cachegen: open %s: one of its options is nil", c.label())
		}
		o.applyToCall(&given)
	}
	for _, o := range overrides { // which NewStores has checked
		o.applyToCall(&given)
	}
	set := s.options(given.settings)
	if err := set.check(); err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.label(), s.name, err)
	}
	k := &core{store: s, name: d.FullName(), namespace: namespace, function: fn, settings: set}
	k.setValue(d, s.valueCodec())
	if d.ResultTags != nil {
		k.resultTags = func(v any) []Tag { return tagsOf(d.ResultTags(v)) }
	}
	k.notFound, k.absent = d.NotFound, d.Absent
	k.place(d.IntPrefix, d.IntPrefix != "")
	if err := s.keys.claim(k.base, d.Pattern, d.FullName(), defined); err != nil {
		return fmt.Errorf("cachegen: open %s in store %s: %w", c.label(), s.name, err)
	}
	c.bound.Store(k)
	return nil
}

func (c *untypedCache) core() (*core, error) {
	if k := c.bound.Load(); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w (%s)", ErrNotBound, c.label())
}

// tagsOf returns names as tags.
func tagsOf(names []string) []Tag {
	tags := make([]Tag, len(names))
	for i, name := range names {
		tags[i] = Tag(name)
	}
	return tags
}

// appendFull appends the full key of a key to b.
func (c *untypedCache) appendFull(b []byte, k *core, key any) ([]byte, error) {
	b, err := c.appendKey(append(b, k.base...), key)
	switch {
	case err != nil:
	case len(b) < len(k.base) || string(b[:len(k.base)]) != k.base:
		err = errNotAppended
	default:
		err = checkText(b[len(k.base):])
	}
	if err != nil {
		return nil, fmt.Errorf("cachegen: write a key of %s: %w", c.label(), err)
	}
	return b, nil
}

// key returns the full key of a key.
func (c *untypedCache) key(k *core, key any) (string, error) {
	var room [128]byte
	b, err := c.appendFull(room[:0], k, key)
	return string(b), err
}

// at resolves what every method begins with.
func (c *untypedCache) at(key any) (*core, string, error) {
	k, err := c.core()
	if err != nil {
		return nil, "", err
	}
	full, err := c.key(k, key)
	return k, full, err
}

// options applies a call's options to the cache's own, and adds the key's tags.
func (c *untypedCache) options(k *core, key any, options []CallOption) call {
	given := given(k.settings, options)
	given.tags = c.tags(key, given.tags)
	return given
}

// given applies a call's options to those of a cache.
func given(own settings, options []CallOption) call {
	var given call
	for _, o := range options {
		if o != nil {
			o.applyToCall(&given)
		}
	}
	given.settings = given.or(own)
	return given
}

// tags returns the tags of a key and of a call.
func (c *untypedCache) tags(key any, given []Tag) []Tag {
	if c.definition.Tags == nil {
		return given
	}
	return append(tagsOf(c.definition.Tags(key)), given...)
}

// own returns v, or a copy that shares no memory with it where that is asked for.
func (c *core) own(v any) any {
	if c.shares {
		return c.copy(v)
	}
	return v
}

// Own returns v, or a copy that shares no memory with it where callers of the cache must
// not share values.
func (c *untypedCache) Own(v any) any {
	if k := c.bound.Load(); k != nil {
		return k.own(v)
	}
	return v
}

// Hit returns the value of the key with that text if it is fresh in memory. It does not
// allocate, unless the value has to be copied by reflection. What generated code has a
// copy function for is not copied: it is memory's own. A false may have any reason: the
// caller goes on with [Cache.GetOrSet].
func (c *untypedCache) Hit(text []byte) (v any, ok bool) {
	if k := c.bound.Load(); k != nil {
		if it := k.hit(text); it != nil {
			return k.hitValue(it), true
		}
	}
	return nil, false
}

// HitInt is Hit for the key whose text is the definition's IntPrefix and n.
func (c *untypedCache) HitInt(n int64) (v any, ok bool) {
	if k := c.bound.Load(); k != nil {
		if it := k.hitInt(n); it != nil {
			return k.hitValue(it), true
		}
	}
	return nil, false
}

// hitValue returns an item's value for the fast path.
func (c *core) hitValue(it *item) any {
	if c.copiesHits {
		return c.copy(it.value)
	}
	return it.value
}

// A keyLoader loads the value of one key.
type keyLoader func(context.Context) (any, error)

// getOrSet is [Cache.GetOrSet].
func (c *untypedCache) getOrSet(ctx context.Context, key any, load keyLoader, options []CallOption) (any, error) {
	k, full, err := c.at(key)
	if err != nil {
		return nil, err
	}
	if load == nil {
		return nil, fmt.Errorf("cachegen: GetOrSet of %s: the loader is nil", c.label())
	}
	if k.function.off.Load() {
		return load(apart(ctx))
	}
	call := c.options(k, key, options)
	rq := request{set: call.settings, forceFresh: call.forceFresh, load: func(ctx context.Context, parts []*part) error {
		v, err := load(ctx)
		if err != nil && k.notFound != nil && errors.Is(err, k.notFound) {
			parts[0].none = err
			return nil
		}
		parts[0].value, parts[0].found = v, err == nil
		return err
	}}
	it, err := k.getOrSet(ctx, &rq, want{key: full, hash: k.store.hash(full), tags: call.tags})
	switch {
	case err != nil:
		return nil, err
	case it.presence == notFound && k.notFound != nil:
		return nil, k.notFound
	case it.presence != notFound && c.definition.Fits(it.value):
		return k.own(it.value), nil
	}
	// Another handle caches another type under this key: load past it.
	return load(apart(ctx))
}

// get is [Cache.Get].
func (c *untypedCache) get(ctx context.Context, key any, options []CallOption) (v any, ok bool, err error) {
	k, full, err := c.at(key)
	if err != nil {
		return nil, false, err
	}
	given := given(k.settings, options)
	it, err := k.get(ctx, full, &given)
	if it == nil || err != nil || !c.definition.Fits(it.value) {
		return nil, false, err
	}
	return k.own(it.value), true, nil
}

// has is [Cache.Has].
func (c *untypedCache) has(ctx context.Context, key any) (bool, error) {
	k, full, err := c.at(key)
	if err != nil {
		return false, err
	}
	it, err := k.get(ctx, full, &call{settings: k.settings})
	return it != nil, err
}

// missing is [Cache.Missing].
func (c *untypedCache) missing(ctx context.Context, key any) (bool, error) {
	has, err := c.has(ctx, key)
	return !has && err == nil, err
}

// set is [Cache.Set].
func (c *untypedCache) set(ctx context.Context, key, v any, options []CallOption) error {
	k, full, err := c.at(key)
	if err != nil {
		return err
	}
	call := c.options(k, key, options)
	return k.set(ctx, full, k.own(v), call.settings, call.tags)
}

// pull is [Cache.Pull].
func (c *untypedCache) pull(ctx context.Context, key any) (v any, ok bool, err error) {
	k, full, err := c.at(key)
	if err != nil {
		return nil, false, err
	}
	it, err := k.pull(ctx, full)
	if it == nil || !c.definition.Fits(it.value) {
		return nil, false, err
	}
	return k.own(it.value), true, err
}

// delete is [Cache.DeleteMany].
func (c *untypedCache) delete(ctx context.Context, keys ...any) error {
	return c.each(keys, func(k *core, full []string) error { return k.store.remove(ctx, full, k.settings.skipBus) })
}

// expire is [Cache.Expire].
func (c *untypedCache) expire(ctx context.Context, keys ...any) error {
	return c.each(keys, func(k *core, full []string) error { return k.store.age(ctx, full, k.settings.skipBus) })
}

// each resolves keys and hands those that have a text to do, so that one bad key
// does not keep the others from being invalidated.
func (c *untypedCache) each(keys []any, do func(*core, []string) error) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	var errs []error
	full := make([]string, 0, len(keys))
	for _, key := range keys {
		text, err := c.key(k, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		full = append(full, text)
	}
	return errors.Join(append(errs, do(k, distinct(full)))...)
}

// clear is [Cache.Clear].
func (c *untypedCache) clear(ctx context.Context) error {
	k, err := c.core()
	if err != nil {
		return err
	}
	return k.store.clear(ctx, k.ownStamp(), event.Invalidation{Namespace: strings.Join(k.namespace, "/"), Cache: k.name})
}
