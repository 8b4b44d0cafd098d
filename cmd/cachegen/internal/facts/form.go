package facts

import (
	"go/types"

	"github.com/cachegen/cachegen/templates"
)

// A TextForm is how values of a type become part of a key or tag.
type TextForm struct {
	templates.Form
	Basic string // predeclared type for Int, Uint, Bool and String
	Bits  int    // of Int and Uint; 0 for int and uint
}

// Basics are the forms of types that are numbers, booleans and strings, by their kind.
var Basics = map[types.BasicKind]TextForm{
	types.Int:    {templates.Int, "int", 0},
	types.Int8:   {templates.Int, "int8", 8},
	types.Int16:  {templates.Int, "int16", 16},
	types.Int32:  {templates.Int, "int32", 32},
	types.Int64:  {templates.Int, "int64", 64},
	types.Uint:   {templates.Uint, "uint", 0},
	types.Uint8:  {templates.Uint, "uint8", 8},
	types.Uint16: {templates.Uint, "uint16", 16},
	types.Uint32: {templates.Uint, "uint32", 32},
	types.Uint64: {templates.Uint, "uint64", 64},
	types.Bool:   {templates.Bool, "bool", 0},
	types.String: {templates.String, "string", 0},
}
