package check

import (
	"slices"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// A stage says when a rule is applied, and so what it may rely on.
type stage int

const (
	single stage = iota // of one package only what the rules before have found is known; packages are checked in parallel
	linked              // the rules of single have been applied to all packages
	across              // the targets of all packages are known
	sound               // nothing was reported of the package
)

// A rule finds or checks one thing. A diagnostic that it reports has one of its codes.
type rule struct {
	stage stage
	codes []diag.Code
	doc   string // what it asks for, in one sentence
	run   func(*pass)
}

func codes(list ...diag.Code) []diag.Code { return list }

// rules are applied in this order: a rule may use what those before it have found.
var rules = []rule{
	{single, codes(diag.Option),
		"allow= names the code of a warning.",
		func(p *pass) { allowRule{p}.check() }},
	{single, codes(diag.Signature, diag.Verb, diag.Name),
		"An annotated function takes a context first, if it takes one, and returns an error last; it either reads or writes.",
		func(p *pass) { collector{p}.collect() }},
	{single, codes(diag.Key, diag.Placeholder, diag.Reserved),
		"A key is segments between colons with placeholders that name values with an exact text.",
		func(p *pass) { keyRule{resolver{p}}.check() }},
	{single, codes(diag.Unused, diag.Option, diag.Placeholder),
		"Every parameter, and every field of one, is part of the key or ignored.",
		func(p *pass) { unusedRule{resolver{p}}.check() }},
	{single, codes(diag.Duration),
		"Durations do not contradict each other.",
		func(p *pass) { durationRule{p}.check() }},
	{single, codes(diag.Option),
		"notfound= names an error, or nil for a value that can be nil; notfoundttl= needs something that says when there is no value.",
		func(p *pass) { notFoundRule{p}.check() }},
	{single, codes(diag.Option),
		"Directives of one function agree on what becomes of errors of its invalidations.",
		func(p *pass) { errorsRule{p}.check() }},
	{single, codes(diag.Request),
		"A parameter that ends with its request is not used by a load in the background.",
		func(p *pass) { requestRule{p}.check() }},
	{single, codes(diag.Effect),
		"Every option has an effect.",
		func(p *pass) { effectRule{p}.check() }},
	{single, codes(diag.Value, diag.Lossy, diag.Copy),
		"A cached value can be stored and read back unchanged, and copied for each caller.",
		func(p *pass) { valueRule{p}.check() }},
	{single, codes(diag.Stray),
		"A type with //cache:wrap has annotated methods.",
		func(p *pass) { collector{p}.removeIdle() }},
	{single, codes(diag.Option, diag.Effect),
		"What //cache:wrap says holds for a cached function of its type.",
		func(p *pass) { defaultsRule{p}.check() }},
	{single, codes(diag.Name),
		"Every generated name is free.",
		func(p *pass) { namer{p}.assignNames() }},
	{single, codes(diag.Name),
		"A wrapper has free names for what is generated for the methods of embedded types.",
		func(p *pass) { promoter{namer{p}}.promote() }},
	{single, codes(diag.Name),
		"A method that binds a wrapped type to a transaction has one in the wrapper.",
		func(p *pass) { txRule{namer{p}}.check() }},
	{single, codes(diag.Transaction, diag.Option),
		"What a transaction reads or writes gets to others after the commit alone.",
		func(p *pass) { transactionRule{p}.check() }},
	{single, codes(diag.Tag, diag.Placeholder, diag.Reserved, diag.Name),
		"A tag is made of the key or of the result, and has one constructor in its package.",
		func(p *pass) { tagRule{resolver{p}}.check() }},
	{single, nil,
		"What is generated for the types of cached values has names that nothing else has.",
		func(p *pass) { valueFinder{p.Package}.findValues() }},
	{linked, codes(diag.Target, diag.Signature, diag.Option, diag.Unused, diag.Syntax),
		"A batch loader takes a list where the key has one of its elements, and returns a map or a list of the values.",
		func(p *pass) { batchRule{calls{resolver{p}}}.check() }},
	{linked, codes(diag.Target, diag.Tag, diag.Syntax),
		"A target is a cached function with an argument of the right type for each parameter in its key, or a tag that a cached function has.",
		func(p *pass) { targetRule{calls{resolver{p}}}.check() }},
	{linked, codes(diag.Name),
		"BindCaches, and the handles on caches of other types, have free names.",
		func(p *pass) { handleRule{namer{p}}.check() }},
	{linked, codes(diag.Bypass),
		"A wrapper has the cache of every annotated method of the types that its type embeds.",
		func(p *pass) { bypassRule{p}.check() }},
	{across, codes(diag.Overlap),
		"Keys of two functions in one store and namespace cannot be equal.",
		func(p *pass) { overlapRule{p}.check() }},
	{sound, codes(diag.Output),
		"What is generated for a file refers only to what is always compiled with it.",
		func(p *pass) { visibleRule{p}.check() }},
}

// Asks returns what the rules that report a code ask for, one sentence each.
func Asks(code diag.Code) []string {
	var list []string
	for _, r := range rules {
		if slices.Contains(r.codes, code) {
			list = append(list, r.doc)
		}
	}
	return list
}
