package naming

import (
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// harmless are predeclared functions that generated code does not call, so that
// parameters may have their names, as they often do.
var harmless = []string{"cap", "clear", "close", "complex", "copy", "delete", "imag", "max", "min", "new", "print", "println", "real", "recover"}

// Reserved reports whether a variable of generated code cannot have that name: a
// keyword, or a predeclared name.
func Reserved(name string) bool {
	return token.IsKeyword(name) || name == "_" || name == "" || name == "init" ||
		types.Universe.Lookup(name) != nil && !slices.Contains(harmless, name)
}

// Unused returns name, or else name with fallback added to its end, or that with a
// number: the first that is not taken.
func Unused(name, fallback string, taken func(string) bool) string {
	if !taken(name) {
		return name
	}
	name += fallback
	candidate := name
	for i := 2; taken(candidate); i++ {
		candidate = name + strconv.Itoa(i)
	}
	return candidate
}

// Shadowed are the predeclared names that generated code cannot do without.
var Shadowed = strings.Fields("any append bool byte cap error false float32 float64 int int8 int16 int32 int64 len make new nil " +
	"string true uint uint8 uint16 uint32 uint64")
