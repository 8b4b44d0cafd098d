package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/wire"
)

type shaped struct {
	Name  string
	Roles []string
}

// shapedValue is what the generator would write for shaped, with a fingerprint of
// the test's choice.
func shapedValue(fingerprint uint64) *valueFuncs[shaped] {
	return &valueFuncs[shaped]{
		Fingerprint: fingerprint,
		Encode: func(e *wire.Encoder, v shaped) {
			e.Struct(2)
			e.Key("Name")
			e.String("generated " + v.Name)
			e.Key("Roles")
			e.Slice(len(v.Roles), v.Roles == nil)
			for i := range v.Roles {
				e.String(v.Roles[i])
			}
		},
		Decode: func(d *wire.Decoder) (v shaped) {
			for range d.Struct() {
				switch d.Key() {
				case "Name":
					v.Name = d.String()
				case "Roles":
					if d.Nil() {
						continue
					}
					v.Roles = []string{}
					for range d.Slice() {
						v.Roles = append(v.Roles, d.String())
					}
				}
			}
			return v
		},
		Copy: func(v shaped) shaped {
			v.Roles = wire.CloneSlice(v.Roles)
			return v
		},
		Size: func(v shaped) int { return len(v.Name) + wire.SliceSize(v.Roles) },
	}
}

func openShaped(t *testing.T, s *runtime.Store, v *valueFuncs[shaped], shared bool) *runtime.Cache[string, shaped] {
	t.Helper()
	stores, err := runtime.NewStores(s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(stores, definition[string, shaped]{Name: "shaped", Pattern: "{k}", Shared: shared, Value: v})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAGeneratedCodecIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var tier faketier.Shared
		c := openShaped(t, newStore(t, runtime.L2(&tier)), shapedValue(1), false)
		if err := c.Set(t.Context(), "k", shaped{"Ada", []string{"admin"}}); err != nil {
			t.Fatal(err)
		}
		got, ok, err := c.Get(t.Context(), "k")
		if !ok || err != nil || got.Name != "generated Ada" || got.Roles[0] != "admin" {
			t.Fatalf("got %+v, %v, %v", got, ok, err)
		}
	})
}

// An entry that another build wrote for another shape of the type is a miss that
// says so, and is replaced.
func TestAnotherFingerprintIsAMissWithItsOwnWarning(t *testing.T) {
	mayTell(t, "another shape")
	bubble(t, func(t *testing.T) {
		var tier faketier.Shared
		var log bytes.Buffer
		logger := runtime.Logger(slog.New(slog.NewTextHandler(&log, nil)))
		one := openShaped(t, newStore(t, runtime.L2(&tier), logger), shapedValue(1), false)
		two := openShaped(t, newStore(t, runtime.L2(&tier), logger), shapedValue(2), false)
		if err := one.Set(t.Context(), "k", shaped{Name: "Ada"}); err != nil {
			t.Fatal(err)
		}
		if v, ok, err := two.Get(t.Context(), "k"); ok || err != nil {
			t.Fatalf("got %+v, %v, %v, want a miss", v, ok, err)
		}
		if !strings.Contains(log.String(), "entry is of another shape") || !strings.Contains(log.String(), "cache=shaped") ||
			strings.Contains(log.String(), "cannot be read") {
			t.Errorf("log: %s", log.String())
		}
		if _, err := two.GetOrSet(t.Context(), "k", func(context.Context) (shaped, error) { return shaped{Name: "Bob"}, nil }); err != nil {
			t.Fatal(err)
		}
		got, ok, err := two.Get(t.Context(), "k")
		if !ok || err != nil || got.Name != "generated Bob" {
			t.Errorf("got %+v, %v, %v", got, ok, err)
		}
	})
}

type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// A store's own codec is used in place of the generated one, and what one of them,
// or reflection, has written is a miss for the others.
func TestCodecsKeepApart(t *testing.T) {
	mayTell(t, "another shape")
	bubble(t, func(t *testing.T) {
		var tier faketier.Shared
		caches := map[string]*runtime.Cache[string, shaped]{
			"generated":  openShaped(t, newStore(t, runtime.L2(&tier)), shapedValue(1), false),
			"reflection": openShaped(t, newStore(t, runtime.L2(&tier)), nil, false),
			"json":       openShaped(t, newStore(t, runtime.L2(&tier), runtime.WithCodec(jsonCodec{})), shapedValue(1), false),
		}
		for writer, c := range caches {
			if err := c.Set(t.Context(), "k", shaped{Name: "Ada"}); err != nil {
				t.Fatal(err)
			}
			for reader, c := range caches {
				got, ok, err := c.Get(t.Context(), "k")
				if err != nil || ok != (reader == writer) {
					t.Errorf("written by %s, %s gets %+v, %v, %v", writer, reader, got, ok, err)
				}
				if generated := strings.HasPrefix(got.Name, "generated"); ok && generated != (writer == "generated") {
					t.Errorf("%s wrote %q", writer, got.Name)
				}
			}
		}
	})
}

func TestAGeneratedCopyKeepsCallersApart(t *testing.T) {
	for name, shared := range map[string]bool{"copied": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			inEveryShapeWithMemory(t, func(t *testing.T, in shape) {
				c := openShaped(t, newStore(t, in.tiers()), shapedValue(1), shared)
				if err := c.Set(t.Context(), "k", shaped{"Ada", []string{"admin"}}); err != nil {
					t.Fatal(err)
				}
				mine, _, err := c.Get(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				mine.Roles[0] = "nobody"
				yours, _, err := c.Get(t.Context(), "k")
				want(t, yours.Roles[0] == "nobody", err, shared)
			})
		})
	}
}

func TestNoCopyFunctionMeansNoCopy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := shapedValue(1)
		v.Copy, v.Size = nil, nil
		c := openShaped(t, newStore(t, memoryTier()), v, false)
		in := shaped{"Ada", []string{"admin"}}
		if err := c.Set(t.Context(), "k", in); err != nil {
			t.Fatal(err)
		}
		first, ok, err := c.Get(t.Context(), "k")
		if !ok || err != nil || &first.Roles[0] == &in.Roles[0] { // memory keeps a copy of its own
			t.Fatalf("got %+v, %v, %v", first, ok, err)
		}
		got, ok, err := c.Get(t.Context(), "k")
		if !ok || err != nil || &got.Roles[0] != &first.Roles[0] {
			t.Errorf("got %+v, %v, %v", got, ok, err)
		}
	})
}

// A value that the generated codec cannot write is served from memory all the same.
func TestAGeneratedCodecMayFailOrPanic(t *testing.T) {
	mayTell(t, "ncode")
	for name, encode := range map[string]func(*wire.Encoder, shaped){
		"fail":  func(e *wire.Encoder, _ shaped) { e.Fail(errors.New("cannot")) },
		"panic": func(*wire.Encoder, shaped) { panic("cannot") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v := shapedValue(1)
				v.Encode = encode
				c := openShaped(t, newStore(t, memoryTier(), runtime.L2(&faketier.Shared{})), v, false)
				for range 2 {
					got, err := c.GetOrSet(t.Context(), "k", func(context.Context) (shaped, error) { return shaped{Name: "Ada"}, nil })
					want(t, got.Name, err, "Ada")
				}
			})
		})
	}
}
