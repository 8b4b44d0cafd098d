package shapes

import (
	"database/sql"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"github.com/cachegen/cachegen/generated_test/shapes/other"
)

// A source makes random values by reflection.
type source struct {
	*rand.Rand
	utc bool // all times are in UTC: what plain msgpack reads
}

func newSource(seed uint64) *source { return &source{Rand: rand.New(rand.NewPCG(seed, 1))} }

var zones = []*time.Location{
	time.UTC, time.Local, time.FixedZone("", 3600), time.FixedZone("EST", 3601), time.FixedZone("Local", 60),
	zone("America/New_York"), zone("Asia/Kolkata"),
}

func zone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return loc
}

func (s *source) time() time.Time {
	if s.IntN(4) == 0 {
		return time.Time{}
	}
	t := time.Unix(s.Int64N(1<<36)-1<<35, s.Int64N(1e9))
	if s.utc {
		return t.UTC()
	}
	return t.In(zones[s.IntN(len(zones))])
}

func (s *source) text() string {
	b := make([]byte, s.IntN(40))
	for i := range b {
		b[i] = byte(s.IntN(256))
	}
	return string(b)
}

// own are the types whose fields are not for reflection to fill.
var own = map[reflect.Type]func(*source) any{
	reflect.TypeFor[time.Time]():    func(s *source) any { return s.time() },
	reflect.TypeFor[Money]():        func(s *source) any { return Money{int64(s.IntN(100)), []string{"a", "b"}} },
	reflect.TypeFor[Color]():        func(s *source) any { return Color(s.IntN(8)) },
	reflect.TypeFor[Pick]():         func(s *source) any { return Pick{s.Int64(), -s.Int64()} },
	reflect.TypeFor[UUID]():         func(s *source) any { return UUID{byte(s.IntN(256)), 15: byte(s.IntN(256))} },
	reflect.TypeFor[Blob]():         func(s *source) any { return Blob{s.text()} },
	reflect.TypeFor[url.URL]():      func(s *source) any { return url.URL{Scheme: "https", Host: "h", Path: "/p", User: url.User("me")} },
	reflect.TypeFor[net.IP]():       func(s *source) any { return net.IPv4(1, 2, 3, byte(s.IntN(256))) },
	reflect.TypeFor[big.Int]():      func(s *source) any { return *new(big.Int).Lsh(big.NewInt(s.Int64()), uint(s.IntN(200))) },
	reflect.TypeFor[other.Odd]():    func(s *source) any { return other.NewOdd([][]string{nil, {}, {s.text(), ""}}[s.IntN(3)], s.IntN(9)) },
	reflect.TypeFor[other.Cloned](): func(s *source) any { return other.NewCloned([]byte{byte(s.IntN(256))}) },
	reflect.TypeFor[other.Lock]():   nil,
	reflect.TypeFor[netip.Addr](): func(s *source) any {
		return netip.AddrFrom16([16]byte{15: byte(s.IntN(256))}).WithZone([]string{"", "eth0"}[s.IntN(2)])
	},
	reflect.TypeFor[sql.NullString](): func(s *source) any { return sql.NullString{String: s.text(), Valid: true} },
}

// fill sets v to something random. present says that it must not be nil: a pointer to
// nil comes back as nil.
func (s *source) fill(v reflect.Value, depth int, present bool) {
	t := v.Type()
	if make, ok := own[t]; ok {
		if make != nil {
			v.Set(reflect.ValueOf(make(s)))
		}
		return
	}
	absent := !present && (depth > 5 || s.IntN(4) == 0)
	length := s.IntN(4)
	if depth > 5 {
		length = 0
	}
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(s.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(s.Uint64()) >> (s.IntN(64) | (64 - t.Bits())))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(s.Uint64() >> (s.IntN(64) | (64 - t.Bits())))
	case reflect.Float32:
		v.SetFloat(float64(float32(s.NormFloat64())))
	case reflect.Float64:
		v.SetFloat([]float64{s.NormFloat64(), math.Inf(1), 0}[s.IntN(3)])
	case reflect.String:
		v.SetString(s.text())
	case reflect.Pointer:
		if !absent {
			v.Set(reflect.New(t.Elem()))
			s.fill(v.Elem(), depth+1, true)
		}
	case reflect.Slice:
		if !absent {
			v.Set(reflect.MakeSlice(t, length, length))
			for i := range length {
				s.fill(v.Index(i), depth+1, false)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			s.fill(v.Index(i), depth+1, false)
		}
	case reflect.Map:
		if !absent {
			v.Set(reflect.MakeMap(t))
			for range length {
				key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				s.fill(key, depth+1, false)
				s.fill(value, depth+1, false)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := t.Field(i); f.Tag.Get("msgpack") != "-" && (f.IsExported() || f.Anonymous) {
				if !f.IsExported() { // base, see below
					continue
				}
				s.fill(v.Field(i), depth+1, false)
			}
		}
	}
	switch x := v.Addr().Interface().(type) {
	case *Embedding:
		x.Hidden = s.text()
	case *Plan:
		if x.Inner != nil { // without names, a pointer to nothing but nil is nil
			x.Left = []int{1}
		}
	}
}
