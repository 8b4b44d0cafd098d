package shapes

import (
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/cachegen/cachegen/runtime/wire"
)

func order() *Embedding {
	return &Embedding{
		Base: Base{ID: 1234567, Made: time.Unix(1700000000, 123).UTC()}, Inner: &Inner{Left: []int{1, 2, 3}, Right: []int{4, 5}},
		Apart: Apart{"another"}, Level: 3, Label: "a label of some length",
	}
}

// customers are a value of some kilobytes.
func customers() *Containers {
	name, when := "somebody", time.Unix(1700000000, 0).UTC()
	c := &Containers{Names: []string{"a", "bb", "ccc"}, ByName: map[string]Item{}}
	for i := range 20 {
		item := Item{ID: int64(i) * 1000, Tags: []string{name, "tag"}, When: &when}
		c.Items = append(c.Items, item)
		c.Links = append(c.Links, &item)
		c.ByName[name+string(rune('a'+i))] = item
	}
	return c
}

// The generated codec against msgpack's reflection, encode and decode.
func BenchmarkCodec(b *testing.B) {
	embedding, containers := order(), customers()
	generated := func(b *testing.B, encode func() ([]byte, error), decode func([]byte) error) {
		b.ReportAllocs()
		for b.Loop() {
			data, err := encode()
			if err == nil {
				err = decode(data)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("small/generated", func(b *testing.B) {
		generated(b, func() ([]byte, error) { return wire.Marshal(embedding, embeddingFuncs.Encode) },
			func(data []byte) error { _, err := wire.Unmarshal(data, embeddingFuncs.Decode); return err })
	})
	b.Run("small/reflection", func(b *testing.B) {
		generated(b, func() ([]byte, error) { return msgpack.Marshal(&embedding) },
			func(data []byte) error { var v *Embedding; return msgpack.Unmarshal(data, &v) })
	})
	b.Run("large/generated", func(b *testing.B) {
		generated(b, func() ([]byte, error) { return wire.Marshal(*containers, containersFuncs.Encode) },
			func(data []byte) error { _, err := wire.Unmarshal(data, containersFuncs.Decode); return err })
	})
	b.Run("large/reflection", func(b *testing.B) {
		generated(b, func() ([]byte, error) { return msgpack.Marshal(containers) },
			func(data []byte) error { var v Containers; return msgpack.Unmarshal(data, &v) })
	})
}

func TestBenchmarkedValuesSurvive(t *testing.T) {
	data, err := wire.Marshal(*customers(), containersFuncs.Encode)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.Unmarshal(data, containersFuncs.Decode)
	if err != nil || !reflect.DeepEqual(got.Items, customers().Items) {
		t.Errorf("got %+v, %v", got, err)
	}
}
