package shapes

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/runtime/wire"
)

// msgpack keeps a value of each type ready in a goroutine.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/vmihailenco/msgpack/v5.cachedValue.func1"))
}

// A subject is a value type under test.
type subject struct {
	name  string
	check func(t *testing.T, s *source)        // all that holds of one random value
	bytes func(t testing.TB, s *source) []byte // an encoded random value
	read  func(data []byte) error
	again func(data []byte) error // read, write, read and write
}

func of[V any](name string, value *valueFuncs[V]) subject {
	random := func(s *source) (v V) {
		s.fill(reflect.ValueOf(&v).Elem(), 0, false)
		return v
	}
	encode := func(t testing.TB, v V) []byte {
		data, err := wire.Marshal(v, value.Encode)
		if err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		return data
	}
	return subject{
		name: name,
		check: func(t *testing.T, s *source) {
			in := random(s)
			data := encode(t, in)
			if again := encode(t, in); !bytes.Equal(data, again) {
				t.Fatalf("encoded twice, %+v gives other bytes", in)
			}
			out, err := wire.Unmarshal(data, value.Decode)
			if err != nil {
				t.Fatalf("%+v: %v", in, err)
			}
			wantSame(t, "decoded", out, in, false)
			if again := encode(t, out); !bytes.Equal(data, again) {
				t.Fatalf("decoded and encoded, %+v gives other bytes", in)
			}
			if value.Copy != nil {
				copied := value.Copy(in)
				wantSame(t, "copied", copied, in, false)
				wantApart(t, in, copied)
			}
			if value.Size != nil && value.Size(in) < 0 {
				t.Fatalf("the size of %+v is %d", in, value.Size(in))
			}
			s.utc = true
			in = random(s)
			s.utc = false
			var plain V
			if err := (wire.Codec{}).Unmarshal(encode(t, in), &plain); err != nil {
				t.Fatalf("reflection reads %+v: %v", in, err)
			}
			wantSame(t, "reflection", plain, in, true)
			data, err = wire.Codec{}.Marshal(&in)
			if err != nil {
				t.Fatalf("reflection writes %+v: %v", in, err)
			}
			if out, err = wire.Unmarshal(data, value.Decode); err != nil {
				t.Fatalf("what reflection writes of %+v: %v", in, err)
			}
			wantSame(t, "written by reflection", out, in, true)
		},
		bytes: func(t testing.TB, s *source) []byte { return encode(t, random(s)) },
		read: func(data []byte) error {
			_, err := wire.Unmarshal(data, value.Decode)
			return err
		},
		again: func(data []byte) error {
			var written [2][]byte
			for i := range written {
				v, err := wire.Unmarshal(data, value.Decode)
				if err != nil {
					return fmt.Errorf("read %d: %w", i, err)
				}
				if written[i], err = wire.Marshal(v, value.Encode); err != nil {
					return fmt.Errorf("write %d: %w", i, err)
				}
				data = written[i]
			}
			if len(written[0]) != len(written[1]) { // keys that are not numbers come in any order
				return fmt.Errorf("write 1: %d bytes, and then %d", len(written[0]), len(written[1]))
			}
			return nil
		},
	}
}

var subjects = []subject{
	of("everything", everythingFuncs), of("containers", containersFuncs), of("node", nodeFuncs), of("tree", treeFuncs),
	of("list", listFuncs), of("page", pageItemFuncs), of("embedding", embeddingFuncs), of("shadowing", shadowingFuncs),
	of("tagged", taggedSliceFuncs), of("sparse", sparseByStringFuncs), of("marshaling", marshalingFuncs),
	of("foreign", foreignFuncs), of("guarded", guardedFuncs), of("shadows", shadowsFuncs), of("time", timeFuncs),
	of("count", uint16Funcs), of("labels", structFuncs),
}

// What is decoded is equal to what was encoded, equal values have equal bytes, the codec for
// types without generated code reads and writes the same, and a copy is equal and shares nothing that can be changed.
func TestRandomValues(t *testing.T) {
	for _, subject := range subjects {
		t.Run(subject.name, func(t *testing.T) {
			for seed := range uint64(200) {
				subject.check(t, newSource(seed))
			}
		})
	}
}

// Bytes that were cut or changed are an error or another value, never a panic.
func TestDamagedBytes(t *testing.T) {
	for _, subject := range subjects {
		t.Run(subject.name, func(t *testing.T) {
			wanted := func(err error) {
				if err != nil && strings.Contains(err.Error(), "panic") {
					t.Fatal(err)
				}
			}
			for seed := range uint64(20) {
				s := newSource(seed)
				data := subject.bytes(t, s)
				for n := range min(len(data), 300) {
					err := subject.read(data[:n])
					if err == nil {
						t.Fatalf("%d of %d bytes are read without an error", n, len(data))
					}
					wanted(err)
				}
				if err := subject.read(append(bytes.Clone(data), 0xc0)); err == nil {
					t.Fatal("what follows the value is not noticed")
				}
				for range 200 {
					damaged := bytes.Clone(data)
					for range 1 + s.IntN(3) {
						damaged[s.IntN(len(damaged))] = byte(s.IntN(256))
					}
					wanted(subject.read(damaged))
				}
			}
		})
	}
}

// Whatever the bytes are, decoding does not panic, and what is decoded survives.
func FuzzDecode(f *testing.F) {
	for _, subject := range subjects {
		for seed := range uint64(2) {
			f.Add(subject.bytes(f, newSource(seed)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, subject := range subjects {
			if err := subject.again(data); err != nil && (strings.Contains(err.Error(), "panic") || !strings.HasPrefix(err.Error(), "read 0")) {
				t.Errorf("%s: %v", subject.name, err)
			}
		}
	})
}
