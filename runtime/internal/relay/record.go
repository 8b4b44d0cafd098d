package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

// A record is the payload of an entry: the version, and targets one after the other. A target is
// its kind and texts, each after its length. Keys are without the prefix of the store, so that a
// record can reach no other store.
const version = 1

// The kinds of targets. A number that has been used means the same in all versions.
const (
	deleteKey byte = iota + 1
	expireKey
	deleteTag
	expireTag
	clearFunction // namespace, cache; both empty for the whole store
	clearAdHoc    // the same of an ad-hoc cache
)

// maxRecords bounds how many records the changes of one transaction have. Beyond that, the record
// is one that clears the store.
const maxRecords = 64

var (
	errVersion = errors.New("it was written by another version of cachegen")
	errRecord  = errors.New("the record is damaged")
)

// encode returns the records of changes in a store with that prefix of keys. Values are not in
// them: what was to be set is deleted.
func encode(c *collect.Changes, prefix string) [][]byte {
	e := encoder{prefix: prefix}
	if c.Everything {
		e.clear(entry.Cache{})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Clears)) {
		e.clear(c.Clears[name].Of)
	}
	for _, tag := range slices.Sorted(maps.Keys(c.Tags)) {
		e.add(kind(c.Tags[tag], deleteTag, expireTag), tag)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Keys)) {
		if _, set := c.Sets[key]; !set {
			e.key(kind(c.Keys[key], deleteKey, expireKey), key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Sets)) {
		e.key(deleteKey, key)
	}
	if e.unfit || len(e.records) > maxRecords {
		e = encoder{}
		e.clear(entry.Cache{})
	}
	return e.records
}

func kind(how collect.How, deletes, expires byte) byte {
	if how.Expire {
		return expires
	}
	return deletes
}

type encoder struct {
	prefix  string
	records [][]byte
	unfit   bool // a target fits into no record
}

func (e *encoder) key(kind byte, key string) {
	relative, ok := strings.CutPrefix(key, e.prefix)
	e.unfit = e.unfit || !ok
	e.add(kind, relative)
}

func (e *encoder) clear(of entry.Cache) {
	kind := clearFunction
	if of.AdHoc {
		kind = clearAdHoc
	}
	texts := []string{of.Name}
	e.add(kind, append(texts, of.Namespace...)...)
}

func (e *encoder) add(kind byte, texts ...string) {
	target := []byte{kind}
	if kind == clearFunction || kind == clearAdHoc {
		target = binary.AppendUvarint(target, uint64(len(texts)))
	}
	for _, text := range texts {
		target = binary.AppendUvarint(target, uint64(len(text)))
		target = append(target, text...)
	}
	last := len(e.records) - 1
	switch {
	case 1+len(target) > drivers.MaxOutboxPayload:
		e.unfit = true
	case last < 0 || len(e.records[last])+len(target) > drivers.MaxOutboxPayload:
		e.records = append(e.records, append([]byte{version}, target...))
	default:
		e.records[last] = append(e.records[last], target...)
	}
}

// decode returns what a record says, in a store with that prefix of keys.
func decode(record []byte, prefix string) (*collect.Changes, error) {
	switch {
	case len(record) == 0 || len(record) > drivers.MaxOutboxPayload:
		return nil, fmt.Errorf("%w: it has %d bytes", errRecord, len(record))
	case record[0] != version:
		return nil, fmt.Errorf("%w: version %d, this one reads %d", errVersion, record[0], version)
	}
	c, d := new(collect.Changes), decoder{rest: record[1:]}
	for len(d.rest) > 0 && d.err == nil {
		kind := d.rest[0]
		d.rest = d.rest[1:]
		switch kind {
		case deleteKey, expireKey:
			key := d.text()
			if strings.HasPrefix(key, "!") { // no entry has such a key
				d.fail("the key %.20q is reserved", key)
			}
			c.Invalidate([]string{prefix + key}, nil, collect.How{Expire: kind == expireKey})
		case deleteTag, expireTag:
			c.Invalidate(nil, []string{d.text()}, collect.How{Expire: kind == expireTag})
		case clearFunction, clearAdHoc:
			c.Clear(d.cache(kind == clearAdHoc), collect.How{})
		default:
			d.fail("a target of kind %d", kind)
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}

type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errRecord, fmt.Sprintf(format, args...))
	}
	d.rest = nil
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail("it ends in a length")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail("a text of %d bytes, %d are left", n, len(d.rest))
		return ""
	}
	text := string(d.rest[:n])
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) cache(adHoc bool) entry.Cache {
	n := d.number()
	if n < 1 || n > uint64(len(d.rest)) { // each text has a byte at least
		d.fail("%d names", n)
		return entry.Cache{}
	}
	of := entry.Cache{AdHoc: adHoc, Name: d.text()}
	for range n - 1 {
		of.Namespace = append(of.Namespace, d.text())
	}
	return of
}
