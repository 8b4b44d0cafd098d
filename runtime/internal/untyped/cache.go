// Package untyped is all of a cache but the types of its keys and values, which are in an
// any here. It is compiled once, however many functions a program caches: a generic type
// is compiled again, with all its methods, in every package that uses it with types of its
// own.
//
// A [Cache] turns keys into text, options into a policy, and results into what callers
// get: their own copy of a value of the right type. It hands on to the rooms of its store.
//
// A Cache is declared once, before it is shared, and then bound to a store, which may
// happen again at any time: an atomic pointer, and callers end on the binding with which
// they began. There is no lock.
package untyped

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cachegen/cachegen/runtime/internal/emit"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/keytext"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/policy"
	"github.com/cachegen/cachegen/runtime/internal/reflectvalue"
	"github.com/cachegen/cachegen/runtime/internal/registry"
	"github.com/cachegen/cachegen/runtime/internal/store"
)

// ErrNotBound says that a cache has no store yet.
var ErrNotBound = errors.New("cachegen: not bound to a store: call BindCaches first")

// A Cache is a cache without the types of its keys and values. A nil value is that of an
// interface type, or says that there is none. The zero Cache is not declared.
type Cache struct {
	definition Definition
	bound      atomic.Pointer[Binding]

	outside *Cache       // of a handle for a transaction: the one that is bound
	inside  atomic.Value // the handle for a transaction on the same entries; see Keep
}

// A Binding is what a cache gets with its store. It does not change.
type Binding struct {
	*store.Store
	Kind      *entry.Kind
	Policy    policy.Policy // without what a program gives the function; see policyOf
	Namespace []string
	Function  *registry.Function
	// Owner is the *runtime.Store, which this package cannot name.
	Owner any
	// Partial returns the cause of an error that says that a loader of many keys could
	// load some of them only.
	Partial func(error) (cause error, ok bool)

	// What a hit asks, without a way through Store and Function.
	memory   *memory.Memory
	emit     *emit.Emitter
	disabled *atomic.Bool

	appendKey  keyAppender
	generated  bool   // generated code copies what a hit returns
	prefixHash uint64 // of the kind's prefix
	scope      string // the prefix and the text before the integer of an integer key
	scopeHash  uint64
}

// Declare says what a zero cache is of. It works once it is bound.
func (c *Cache) Declare(d Definition) { c.definition = d }

// Definition returns what Declare was given.
func (c *Cache) Definition() *Definition { return &c.definition }

// Check fails if the cache is not declared, or if keys of its type cannot be written.
func (c *Cache) Check() error {
	if c.definition.KeyType == nil {
		return errors.New("cachegen: bind a zero Cache: make it with NewCache, or use that of generated code")
	}
	if _, err := appenderOf(c.definition.KeyType); err != nil {
		return fmt.Errorf("cachegen: open %s: %w", c.Label(), err)
	}
	return nil
}

// CheckValue fails if values of the cache's type would not come back from the default codec,
// if that is the store's, as they were stored. What generated code encodes the generator has
// checked.
func (c *Cache) CheckValue(isDefault bool) error {
	if c.definition.Value != nil || !isDefault {
		return nil
	}
	if err := reflectvalue.Check(c.definition.ValueType); err != nil {
		return fmt.Errorf("a value cannot be stored and read back unchanged: %w", err)
	}
	return nil
}

// Stores open caches: a runtime.Stores, which this package cannot name.
type Stores interface {
	OpenUntyped(within []string, caches ...Opening) error
}

// Bind opens a declared cache on stores.
func (c *Cache) Bind(stores Stores) error { return stores.OpenUntyped(nil, Opening{Cache: c}) }

// Attach gives the cache its store, with what holds there: its namespace, policy and
// function, and the store's codec, which is the default one or not. Check has succeeded.
func (c *Cache) Attach(b *Binding, codec Codec, isDefault bool) {
	d, s := &c.definition, b.Store
	b.appendKey, _ = appenderOf(d.KeyType)
	named := d.Entries(b.Namespace)
	b.Kind = &entry.Kind{
		Cache: named.Name, Prefix: named.KeyPrefix(s.Prefix),
		Stamps: s.Stamps, Random: s.Random, Remote: s.Remote.Exists(),
		ResultTags: d.ResultTags, NotFound: d.NotFound, Absent: d.absent(), MissingIsAbsent: d.Absent != nil,
		MissingIsUnknown: d.AdHoc,
	}
	for _, name := range named.RequiredStamps() {
		b.Kind.Required = append(b.Kind.Required, s.Stamps.Cell(name))
	}
	d.setValue(b.Kind, codec, isDefault)
	b.generated = d.Value != nil
	b.memory, b.emit, b.disabled = s.Memory, s.Emit, &b.Function.Disabled
	b.prefixHash = s.Memory.PrefixHash(b.Kind.Prefix)
	if d.IntPrefix != "" {
		b.scope = b.Kind.Prefix + d.IntPrefix
		b.scopeHash = s.Memory.ScopeHash(b.prefixHash, d.IntPrefix)
	}
	c.bound.Store(b)
}

// Binding returns what the cache is bound to, or ErrNotBound.
func (c *Cache) Binding() (*Binding, error) {
	if c.outside != nil {
		return c.outside.Binding()
	}
	if b := c.bound.Load(); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%w (%s)", ErrNotBound, c.Label())
}

// Label is how errors call the cache.
func (c *Cache) Label() string {
	d := &c.definition
	switch {
	case d.AdHoc:
		return keytext.Show(d.Name)
	case d.Name != "":
		return d.FullName()
	case d.KeyType == nil:
		return "a zero Cache"
	}
	return fmt.Sprintf("Cache[%v, %v]", d.KeyType, d.ValueType)
}

// appendFull appends the full key of a key to text.
func (c *Cache) appendFull(text []byte, b *Binding, key any) ([]byte, error) {
	prefix := b.Kind.Prefix
	text, err := b.appendKey(append(text, prefix...), key)
	switch {
	case err != nil:
	case len(text) < len(prefix) || string(text[:len(prefix)]) != prefix:
		err = errNotAppended
	default:
		err = checkText(text[len(prefix):])
	}
	if err != nil {
		return nil, fmt.Errorf("cachegen: write a key of %s: %w", c.Label(), err)
	}
	return text, nil
}

// key returns the full key of a key.
func (c *Cache) key(b *Binding, key any) (string, error) {
	var room [128]byte
	text, err := c.appendFull(room[:0], b, key)
	return string(text), err
}

// at resolves what every method begins with.
func (c *Cache) at(key any) (*Binding, string, error) {
	b, err := c.Binding()
	if err != nil {
		return nil, "", err
	}
	full, err := c.key(b, key)
	return b, full, err
}

// checkCall refuses the options of a call that a method has no use for, or that are wrong.
// A nil call has none.
func (c *Cache) checkCall(m policy.Method, call *policy.Call) error {
	if call == nil {
		return nil
	}
	if err := call.Check(m); err != nil {
		return fmt.Errorf("cachegen: %s of %s: %w", call.NameOf(m), c.Label(), err)
	}
	return nil
}

// tags returns the tags of a key and of a call.
func (c *Cache) tags(key any, call *policy.Call) []string {
	var given []string
	if call != nil {
		given = call.Tags
	}
	if c.definition.Tags == nil {
		return given
	}
	return slices.Concat(c.definition.Tags(key), given)
}

// policyOf returns what holds for a call.
func (b *Binding) policyOf(call *policy.Call) policy.Policy {
	p := b.Function.Policy(b.Policy)
	if call == nil {
		return p
	}
	p = p.Apply(call.Options)
	if call.Forever {
		p.TTL = policy.Forever
	}
	return p
}

// Own returns v, or a copy that shares no memory with it where callers must not share
// values.
func (c *Cache) Own(v any) any {
	if b, err := c.Binding(); err == nil {
		return b.Kind.Own(v)
	}
	return v
}
