package random

import (
	"hash/maphash"
	"testing"
)

func TestASourceStaysBelowItsBoundAndAvoidsZeroWhereAsked(t *testing.T) {
	numbers := []uint64{0, 0, 7, 1 << 63}
	s := Source(func(string) uint64 {
		n := numbers[0]
		numbers = numbers[1:]
		return n
	})
	if n := s.NonZero(""); n != 7 {
		t.Fatal(n)
	}
	if n := s.Below("", 3); n < 0 || n >= 3 {
		t.Fatal(n)
	}
}

func TestASimulationGivesStoresTheirNumbers(t *testing.T) {
	restore := Replace(func(store string) Source { return func(what string) uint64 { return uint64(len(store + what)) } })
	if n := ForStore("main")("!s"); n != 6 {
		t.Fatal(n)
	}
	restore()
	if a, b := ForStore("main")(""), ForStore("main")(""); a == b {
		t.Fatal("two random numbers are equal:", a)
	}
}

func TestASimulationGivesStoresTheirHashSeed(t *testing.T) {
	given := maphash.MakeSeed()
	restore := ReplaceHashSeed(given)
	for range 2 {
		if HashSeed() != given {
			t.Fatal("another seed")
		}
	}
	restore()
	if a, b := HashSeed(), HashSeed(); a == b || a == given {
		t.Fatal("two seeds are equal")
	}
}
