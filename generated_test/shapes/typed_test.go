package shapes

import (
	"time"

	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/wire"
)

// A valueFuncs is what is generated for values, with their type.
type valueFuncs[V any] struct {
	Encode func(*wire.Encoder, V)
	Decode func(*wire.Decoder) V
	Copy   func(V) V
	Size   func(V) int
}

func typed[V any](v *gen.Value) *valueFuncs[V] {
	out := &valueFuncs[V]{
		Encode: func(e *wire.Encoder, x V) { v.Encode(e, x) },
		Decode: func(d *wire.Decoder) V { x, _ := v.Decode(d).(V); return x },
	}
	if v.Copy != nil {
		out.Copy = func(x V) V { x, _ = v.Copy(x).(V); return x }
	}
	if v.Size != nil {
		out.Size = func(x V) int { return v.Size(x) }
	}
	return out
}

var (
	containersFuncs     = typed[Containers](&containersValue)
	embeddingFuncs      = typed[*Embedding](&embeddingValue)
	everythingFuncs     = typed[*Everything](&everythingValue)
	foreignFuncs        = typed[*Foreign](&foreignValue)
	guardedFuncs        = typed[*Guarded](&guardedValue)
	listFuncs           = typed[List](&listValue)
	marshalingFuncs     = typed[*Marshaling](&marshalingValue)
	nodeFuncs           = typed[*Node](&nodeValue)
	pageItemFuncs       = typed[Page[Item]](&pageItemValue)
	shadowingFuncs      = typed[*Shadowing](&shadowingValue)
	shadowsFuncs        = typed[Shadows](&shadowsValue)
	sparseByStringFuncs = typed[map[string]*Sparse](&sparseByStringValue)
	structFuncs         = typed[struct{ Labels []string }](&structValue)
	taggedSliceFuncs    = typed[[]Tagged](&taggedSliceValue)
	timeFuncs           = typed[time.Time](&timeValue)
	treeFuncs           = typed[Tree](&treeValue)
	uint16Funcs         = typed[uint16](&uint16Value)
)
