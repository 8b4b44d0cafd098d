package relay

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/entry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func texts(name string) *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{name, "", "a:b", "@n@m:x", "\x00\xff", "ü", strings.Repeat(name, 5000)}), rapid.String())
}

// drawn are changes of a store with a prefix.
func drawn(t *rapid.T, prefix string) *collect.Changes {
	c := new(collect.Changes)
	for range rapid.IntRange(0, 40).Draw(t, "n") {
		how := collect.How{Expire: rapid.Bool().Draw(t, "expire"), Silent: rapid.Bool().Draw(t, "silent"), Log: rapid.Bool().Draw(t, "log")}
		key := prefix + strings.TrimLeft(texts("key").Draw(t, "key"), "!")
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			c.Invalidate([]string{key}, nil, how)
		case 1:
			c.Invalidate(nil, []string{texts("tag").Draw(t, "tag")}, how)
		case 2:
			of := entry.Cache{AdHoc: rapid.Bool().Draw(t, "adHoc"), Name: texts("cache").Draw(t, "cache")}
			of.Namespace = rapid.SliceOfN(texts("n"), 0, 3).Draw(t, "namespace")
			c.Clear(of, how)
		default:
			c.Set(key, collect.Set{})
		}
	}
	return c
}

// What others carry out is what was changed: all of it deleted or expired, and nothing else.
func TestRecordsSayWhatWasChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"", "app:", "a:b:"}).Draw(t, "prefix")
		c := drawn(t, prefix)
		for name := range c.Clears {
			if len(name) > drivers.MaxOutboxPayload/2 { // see the next test
				t.Skip("a name that fits into no record")
			}
		}
		got := new(collect.Changes)
		for _, record := range encode(c, prefix) {
			if len(record) > drivers.MaxOutboxPayload {
				t.Fatalf("a record of %d bytes", len(record))
			}
			part, err := decode(record, prefix)
			if err != nil {
				t.Fatal(err)
			}
			got.Absorb(part)
		}
		keys := make(map[string]bool) // whether it is expired
		for key, how := range c.Keys {
			keys[key] = how.Expire
		}
		for key := range c.Sets {
			keys[key] = false
		}
		gotKeys := make(map[string]bool)
		for key, how := range got.Keys {
			gotKeys[key] = how.Expire
			if how.Silent || how.Log {
				t.Errorf("%q is carried out in silence", key)
			}
		}
		tags, gotTags := make(map[string]bool), make(map[string]bool)
		for tag, how := range c.Tags {
			tags[tag] = how.Expire
		}
		for tag, how := range got.Tags {
			gotTags[tag] = how.Expire
		}
		if !maps.Equal(keys, gotKeys) || !maps.Equal(tags, gotTags) || len(got.Sets) > 0 {
			t.Errorf("keys %v, want %v, tags %v, want %v", gotKeys, keys, gotTags, tags)
		}
		if want, got := slices.Sorted(maps.Keys(c.Clears)), slices.Sorted(maps.Keys(got.Clears)); !slices.Equal(want, got) {
			t.Errorf("clears %q, want %q", got, want)
		}
		for name, clear := range got.Clears {
			if want := c.Clears[name].Of; !reflect.DeepEqual(clear.Of, want) && len(clear.Of.Namespace)+len(want.Namespace) > 0 {
				t.Errorf("clears %+v, want %+v", clear.Of, want)
			}
		}
	})
}

// What does not fit clears the store, and so does what is too much.
func TestWhatDoesNotFitIntoRecordsClearsTheStore(t *testing.T) {
	long := strings.Repeat("x", drivers.MaxOutboxPayload)
	many := new(collect.Changes)
	for i := range maxRecords * 3 {
		many.Invalidate([]string{fmt.Sprintf("%d%s", i, long[:len(long)/2])}, nil, collect.How{})
	}
	key, tag, cache, foreign := new(collect.Changes), new(collect.Changes), new(collect.Changes), new(collect.Changes)
	key.Invalidate([]string{long, "a"}, nil, collect.How{})
	tag.Invalidate(nil, []string{long}, collect.How{Expire: true})
	cache.Clear(entry.Cache{Name: long}, collect.How{})
	foreign.Invalidate([]string{"other:key"}, nil, collect.How{})
	for name, c := range map[string]*collect.Changes{"key": key, "tag": tag, "cache": cache, "many": many, "everything": {Everything: true}, "foreign": foreign} {
		prefix := ""
		if name == "foreign" {
			prefix = "app:"
		}
		records := encode(c, prefix)
		if len(records) != 1 {
			t.Fatalf("%s: %d records", name, len(records))
		}
		got, err := decode(records[0], prefix)
		if err != nil || len(got.Clears) != 1 || got.Clears[entry.StoreStamp].Of.Name != "" || len(got.Keys)+len(got.Tags) > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestRecordsThatCannotBeReadAreErrors(t *testing.T) {
	for name, test := range map[string]struct {
		record []byte
		want   error
	}{
		"empty":              {nil, errRecord},
		"newer":              {[]byte{version + 1, deleteKey, 1, 'a'}, errVersion},
		"zero":               {[]byte{0}, errVersion},
		"too long":           {append([]byte{version}, make([]byte, drivers.MaxOutboxPayload)...), errRecord},
		"unknown target":     {[]byte{version, 99, 1, 'a'}, errRecord},
		"no length":          {[]byte{version, deleteKey}, errRecord},
		"cut length":         {[]byte{version, deleteKey, 0x80}, errRecord},
		"endless length":     {append([]byte{version, deleteKey}, bytes.Repeat([]byte{0xff}, 20)...), errRecord},
		"cut text":           {[]byte{version, deleteTag, 3, 'a', 'b'}, errRecord},
		"huge text":          {[]byte{version, deleteTag, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'a'}, errRecord},
		"cut second":         {[]byte{version, deleteKey, 1, 'a', expireKey, 9}, errRecord},
		"no names":           {[]byte{version, clearFunction, 0}, errRecord},
		"many names":         {[]byte{version, clearAdHoc, 0xff, 0xff, 0xff, 0xff, 0x7f, 0}, errRecord},
		"more names":         {[]byte{version, clearAdHoc, 3, 0, 0}, errRecord},
		"a reserved key":     {[]byte{version, deleteKey, 4, '!', 's', ':', 's'}, errRecord},
		"a number of stamps": {[]byte{version, expireKey, 2, '!', 't'}, errRecord},
	} {
		if c, err := decode(test.record, "app:"); !errors.Is(err, test.want) || c != nil {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// Whatever bytes there are, nothing grows beyond them, and no other store is reached.
func FuzzDecode(f *testing.F) {
	c := new(collect.Changes)
	c.Invalidate([]string{"app:a", "app:b"}, []string{"x"}, collect.How{})
	c.Invalidate([]string{"app:c"}, []string{"y"}, collect.How{Expire: true})
	c.Clear(entry.Cache{Name: "f", Namespace: []string{"n", "m"}}, collect.How{})
	c.Clear(entry.Cache{Name: "g", AdHoc: true}, collect.How{})
	for _, record := range encode(c, "app:") {
		f.Add(record)
	}
	f.Add([]byte{version, clearFunction, 1, 0})
	f.Add([]byte{version, deleteKey, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := decode(record, "app:")
		if err != nil {
			if c != nil || !errors.Is(err, errRecord) && !errors.Is(err, errVersion) {
				t.Errorf("%+v, %v", c, err)
			}
			return
		}
		size := 0
		for key := range c.Keys {
			if !strings.HasPrefix(key, "app:") || strings.HasPrefix(key, "app:!") {
				t.Errorf("reaches %q", key)
			}
			size += len(key) - len("app:") + 1
		}
		for tag := range c.Tags {
			size += len(tag) + 1
		}
		for _, clear := range c.Clears {
			size += len(clear.Of.Name) + 1 + len(clear.Of.Namespace)
		}
		if size > len(record) || len(c.Sets) > 0 || c.Everything {
			t.Errorf("%d bytes of %d: %+v", size, len(record), c)
		}
		again := encode(c, "app:")
		for _, r := range again {
			if _, err := decode(r, "app:"); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
	})
}
