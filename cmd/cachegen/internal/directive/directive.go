// Package directive reads //cache: comments. It knows their grammar, the verbs and
// their options, and to which declaration a comment belongs; what keys, targets
// and types mean it does not know.
//
//	//cache:getorset user:{id} ttl=5m tag=users shared
//	//cache:with grace=1h
//
// A token lowercase=value is an option, a bare word that the verb knows as a flag
// (shared) is a flag, anything else is positional. A with line continues the
// directive above it: Parse merges the two.
//
// Everything in the namespace is either understood or refused, near misses
// included: an annotation that is silently ignored would be a cache that is
// silently missing.
package directive

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"time"
)

// Tool is the word before the colon.
const Tool = "cache"

// The verbs.
const (
	Wrap     = "wrap"     // on a type: names the wrapper, sets defaults
	GetOrSet = "getorset" // on a function: reads go through the cache
	Set      = "set"      // on a function: the result becomes an entry
	Delete   = "delete"   // on a function: entries and tags are deleted
	Expire   = "expire"   // on a function: the same, but values stay as stale values for grace
	Batch    = "batch"    // on a function: the loader of many keys of a getorset
	Clear    = "clear"    // on a function: a namespace is cleared
	With     = "with"     // continues the directive above; Parse never returns it

	Transaction = "transaction" // on a method: it returns its type bound to a database transaction
)

// A Directive is one annotation, its continuation lines included. What Parse
// returns has a known verb on the right kind of declaration, and only options that
// the verb has, with durations that parse; problems were reported.
type Directive struct {
	Verb    string
	Pos     token.Pos // of the //
	VerbPos token.Pos
	Args    []Arg // in source order, continuation lines included

	// Func is the declaration of a verb on functions, and TypeSpec
	// that of a wrap; the other is nil. Decl is Func, or the declaration that
	// TypeSpec is in.
	Decl     ast.Decl
	Func     *ast.FuncDecl
	TypeSpec *ast.TypeSpec
}

// An Arg is an argument of a directive. Exactly one of these holds: Key is set, and
// it is an option; Flag, and it is a flag; neither, and it is positional.
type Arg struct {
	Text string    // without surrounding quotes
	Pos  token.Pos // of the first character, of the quote if there is one

	Key      string // of an option
	Value    string
	ValuePos token.Pos

	Flag bool
}

// TextPos is the position of the first character of Text, which is after the quote
// if the argument is quoted. An offset into Text is an offset from here, unless a
// quoted string contains escapes.
func (a Arg) TextPos() token.Pos {
	if a.Key == "" {
		return a.ValuePos
	}
	return a.ValuePos - token.Pos(len(a.Key)+1)
}

// Positional returns the arguments that are neither options nor flags.
func (d *Directive) Positional() []Arg {
	var list []Arg
	for _, a := range d.Args {
		if a.Key == "" && !a.Flag {
			list = append(list, a)
		}
	}
	return list
}

// Option returns the option key, which occurs at most once unless it is one that repeats.
func (d *Directive) Option(key string) (Arg, bool) {
	for _, a := range d.Args {
		if a.Key == key {
			return a, true
		}
	}
	return Arg{}, false
}

// Options returns every occurrence of the option key in source order.
func (d *Directive) Options(key string) []Arg {
	var list []Arg
	for _, a := range d.Args {
		if a.Key == key {
			list = append(list, a)
		}
	}
	return list
}

// Flag returns the flag name, such as shared.
func (d *Directive) Flag(name string) (Arg, bool) {
	for _, a := range d.Args {
		if a.Flag && a.Text == name {
			return a, true
		}
	}
	return Arg{}, false
}

// Duration returns the value of a duration option. ok is false if the directive
// does not have the option, has one that is wrong, which Parse has reported, or
// gives a percentage. ttl=forever is [Forever].
func (d *Directive) Duration(key string) (value time.Duration, arg Arg, ok bool) {
	value, percent, arg, ok := d.Amount(key)
	return value, arg, ok && percent == 0
}

// Amount is Duration for options that may be a percentage of the ttl, from 1 to 99,
// which is zero for those that are a duration.
func (d *Directive) Amount(key string) (value time.Duration, percent int, arg Arg, ok bool) {
	arg, ok = d.Option(key)
	if !ok {
		return 0, 0, Arg{}, false
	}
	value, percent, err := options[key].amount(arg.Value)
	return value, percent, arg, err == nil
}

// amount parses a value of a duration option.
func (o option) amount(text string) (value time.Duration, percent int, err error) {
	if number, ok := strings.CutSuffix(text, "%"); ok && o.percent {
		percent, err := strconv.Atoi(number)
		if err != nil || percent < 1 || percent > 99 || number[0] == '+' {
			return 0, 0, fmt.Errorf("%q is not a percentage between 1%% and 99%%", text)
		}
		return 0, percent, nil
	}
	value, err = ParseDuration(text, o.forever)
	return value, 0, err
}
