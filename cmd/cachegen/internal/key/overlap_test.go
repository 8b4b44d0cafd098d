package key

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/templates"
)

// shapes reads test notation: segments between colons, with <int8>, <uint>, <bool>,
// <string> or <text> for a value.
func shapes(t *testing.T, text string) []Shape {
	t.Helper()
	var list []Shape
	for segment := range strings.SplitSeq(text, ":") {
		before, rest, ok := strings.Cut(segment, "<")
		s := Shape{Before: before, Value: ok}
		if ok {
			var kind string
			kind, s.After, _ = strings.Cut(rest, ">")
			letters := strings.TrimRight(kind, "0123456789")
			s.Bits, _ = strconv.Atoi(kind[len(letters):])
			form, known := map[string]templates.Form{
				"int": templates.Int, "uint": templates.Uint, "bool": templates.Bool,
				"string": templates.String, "text": templates.Text,
			}[letters]
			if !known {
				t.Fatalf("unknown kind %q", kind)
			}
			s.Form = form
		}
		list = append(list, s)
	}
	return list
}

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"user", "user", true},
		{"user", "team", false},
		{"user:<int>", "user:<int>", true},
		{"user:<int>", "team:<int>", false},
		{"user:<int>", "user:<int>:x", false},
		{"user:<int>", "user:<string>", true},
		{"user:<string>", "<string>:admin", true},
		{"user:<int>", "user:all", false},
		{"user:<int>", "user:7", true},
		{"user:<int>", "user:-7", true},
		{"user:<uint>", "user:-7", false},
		{"user:<int>", "user:07", false},
		{"user:<int>", "user:+7", false},
		{"user:<int8>", "user:127", true},
		{"user:<int8>", "user:128", false},
		{"user:<uint8>", "user:255", true},
		{"user:<uint8>", "user:256", false},
		{"user:<int>", "user:9223372036854775808", false},
		{"user:<uint>", "user:9223372036854775808", true},
		{"flag:<bool>", "flag:true", true},
		{"flag:<bool>", "flag:TRUE", false},
		{"flag:<bool>", "flag:<int>", false},
		{"user:<string>", "user:all", true},
		{"user:<text>", "user:all", true},
		{"user:<text>", "user:<bool>", true},
		{"u-<int>", "u-7", true},
		{"u-<int>", "v-7", false},
		{"a<string>a", "a", false},
		{"a<string>a", "aa", true},
		{"a<int>", "b<int>", false},
		{"a<string>", "ab<string>", true},
		{"<string>x", "<string>yx", true},
		{"<string>x", "<string>y", false},
	} {
		a, b := shapes(t, test.a), shapes(t, test.b)
		if got := Overlap(a, b); got != test.want {
			t.Errorf("Overlap(%s, %s) = %t", test.a, test.b, got)
		}
		if got := Overlap(b, a); got != test.want {
			t.Errorf("Overlap(%s, %s) = %t", test.b, test.a, got)
		}
	}
}

// randomShapes draws from so few texts that equal keys are common.
func randomShapes(r *rand.Rand) []Shape {
	literals := []string{"", "1", "-", "t", "true", "12", "a"}
	list := make([]Shape, 1+r.IntN(2))
	for i := range list {
		s := Shape{Before: literals[r.IntN(len(literals))]}
		if r.IntN(3) > 0 {
			s.Value = true
			s.After = literals[r.IntN(len(literals))]
			s.Form = templates.Form(r.IntN(5))
			s.Bits = []int{0, 8, 16}[r.IntN(3)]
		}
		list[i] = s
	}
	return list
}

// render writes a key of these shapes with random values, as generated code does.
func render(r *rand.Rand, list []Shape) string {
	var b []byte
	for i, s := range list {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, s.Before...)
		if s.Value {
			switch s.Form {
			case templates.Int:
				b = strconv.AppendInt(b, int64(r.IntN(260)-128), 10)
			case templates.Uint:
				b = strconv.AppendUint(b, uint64(r.IntN(256)), 10)
			case templates.Bool:
				b = strconv.AppendBool(b, r.IntN(2) == 0)
			default:
				texts := []string{"", "1", "-1", "true", "t", "a:1", "1:t", ":", "%3A", "@1", "a"}
				b = gen.AppendEscaped(b, texts[r.IntN(len(texts))])
			}
		}
		b = append(b, s.After...)
	}
	return string(b)
}

func checkDisjoint(t *testing.T, r *rand.Rand) {
	a, b := randomShapes(r), randomShapes(r)
	if !Overlap(a, a) {
		t.Fatalf("%+v does not overlap itself", a)
	}
	if Overlap(a, b) != Overlap(b, a) {
		t.Fatalf("overlap of %+v and %+v is not symmetric", a, b)
	}
	if Overlap(a, b) {
		return
	}
	for range 40 {
		x, y := render(r, a), render(r, b)
		if x == y {
			t.Fatalf("%+v and %+v do not overlap, yet both can be %q", a, b, x)
		}
	}
}

// Keys of patterns that do not overlap are never equal.
func TestNoOverlapMeansNeverEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		checkDisjoint(t, r)
	}
}

func FuzzNoOverlapMeansNeverEqual(f *testing.F) {
	f.Add(uint64(1), uint64(1))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		checkDisjoint(t, rand.New(rand.NewPCG(a, b)))
	})
}
