package gen_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime/gen"
)

// A key of text, integers, a bool and an address, as generated code would write it.
func appendKey(s string, n int64, u uint64, yes bool, addr netip.Addr) string {
	b := gen.AppendEscaped([]byte("user:"), s)
	b = strconv.AppendInt(append(b, ":v"...), n, 10)
	b = strconv.AppendUint(append(b, ':'), u, 10)
	b = strconv.AppendBool(append(b, ':'), yes)
	b, _ = gen.AppendKeyText(append(b, ':'), addr)
	return string(b)
}

func parseKey(text string) (s string, n int64, u uint64, yes bool, addr netip.Addr, err error) {
	err = gen.ParseKey("user:{s}:v{n}:{u}:{yes}:{addr}", text, &s, &n, &u, &yes, &addr)
	return s, n, u, yes, addr, err
}

// What is read is what is written: nobody else's text is taken for a key.
func FuzzParseKey(f *testing.F) {
	f.Add("user:a%3Ab:v-5:7:true:10.0.0.1")
	f.Add("user:::::")
	f.Add("user:%:v0:0:false:%3A%3A1")
	f.Fuzz(func(t *testing.T, text string) {
		s, n, u, yes, addr, err := parseKey(text)
		if err != nil {
			return
		}
		again := appendKey(s, n, u, yes, addr)
		s2, n2, u2, yes2, addr2, err := parseKey(again)
		if err != nil || s2 != s || n2 != n || u2 != u || yes2 != yes || addr2 != addr {
			t.Fatalf("%q was read and written as %q, which is read as %q %d %d %v %v, %v", text, again, s2, n2, u2, yes2, addr2, err)
		}
		// Only an address has several texts.
		if text[:strings.LastIndex(text, ":")] != again[:strings.LastIndex(again, ":")] {
			t.Fatalf("%q was accepted, and is written as %q", text, again)
		}
	})
}
