package wire_test

import (
	"fmt"

	"github.com/cachegen/cachegen/runtime/wire"
)

type point struct{ X, Y int64 }

func encodePoint(e *wire.Encoder, p point) {
	e.Struct(2)
	e.Key("X")
	e.Int(p.X)
	e.Key("Y")
	e.Int(p.Y)
}

func decodePoint(d *wire.Decoder) (p point) {
	for fields := d.Struct(); fields > 0 && d.OK(); fields-- {
		switch d.Key() {
		case "X":
			p.X = d.Int64()
		case "Y":
			p.Y = d.Int64()
		default:
			d.Skip() // of another version of the type
		}
	}
	return p
}

// A value goes to a shared tier and comes back.
func Example() {
	data, err := wire.Marshal(point{X: 1, Y: -2}, encodePoint)
	if err != nil {
		panic(err)
	}
	p, err := wire.Unmarshal(data, decodePoint)
	fmt.Println(p, err)

	_, err = wire.Unmarshal(data[:len(data)-1], decodePoint)
	fmt.Println(err != nil)
	// Output:
	// {1 -2} <nil>
	// true
}
