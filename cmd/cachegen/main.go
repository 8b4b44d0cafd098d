// Command cachegen writes typed cache wrappers for functions that are annotated with
// //cache: directives.
//
//	cachegen [flags] [packages]
//	cachegen list [flags] [packages]
//	cachegen explain [code]
//
// Packages are patterns as for go list; without one it is the package of the current
// directory. The usual way is a line
//
//	//go:generate go tool cachegen
//
// in a package, or with ./... at the root of a module. For each source file with
// directives, user_repo.go, one file is written beside it, user_repo_cachegen.go. Such
// files are removed when nothing is left to generate. A package with a problem keeps
// the files that it has. The flags are
//
//	-C dir      change to dir first
//	-check      write nothing; print what is out of date as a diff
//	-tags list  comma-separated build tags
//	-v          print the names of the files that are written and removed
//
// The exit code is 0 if all is well, 1 if the sources have problems or, with -check, a
// file is out of date, and 2 if the command was used wrongly or the packages could not
// be loaded. Problems go to standard error as file:line:col: message [code].
//
// # What is cached
//
// The command list prints every cached function of the packages, ./... if there are none:
// its key, value, options and tags, and the functions of all those packages that change or
// delete its entries. Functions with problems are left out, and the exit code is 1. Those of
// tests are left out too. A clear or a tag that names no store is taken to be about the first
// one alone. Its flags are
//
//	-C dir      change to dir first
//	-json       print a JSON array of objects, whose names are stable
//	-tags list  comma-separated build tags
//
// A package whose import path is the name of a command is written as a directory: ./list.
//
// # What a diagnostic means
//
// A diagnostic ends with a code in brackets. The command explain prints what it means, an example
// that gets it and one that does not, and whether allow= silences it; without a code it lists all of
// them.
//
// # While code is written
//
// The same problems are reported by
//
//	go vet -vettool=$(go tool -n cachegen) ./...
//
// except for those that take several packages. With -fix, misspelt directives, options and
// names are corrected where it is clear what was meant; see package analyzer.
//
// # Directives
//
// A directive is a line in the doc comment of a function, method or type, with no
// space after the slashes. Annotated functions return an error last. If they take a
// context.Context, it comes first; one that takes none cannot be cancelled.
//
//	//cache:wrap [NAME] [option…]          on a type, optional: the wrapper's name, and defaults for the methods
//	//cache:getorset KEY [option…]         on a func(ctx, …) (V, error): reads go through the cache
//	//cache:batch TARGET [by=Field]        on a loader of many keys of a getorset: only those are loaded that are not cached
//	//cache:set TARGET…                    after a nil error, the result becomes the entry
//	//cache:delete [TARGET…] [tag=TAG…]    after a nil error, entries are deleted
//	//cache:expire [TARGET…] [tag=TAG…]    after a nil error, entries are expired: they stay as grace values
//	//cache:clear [NAMESPACE]              after a nil error, a namespace is cleared: by default that of the type
//	//cache:with …                         on the next line: more arguments for the directive above
//
// A function either reads, with one getorset or batch, or has any number of set, delete,
// expire and clear. The value V has to survive msgpack: no channels, functions and
// interfaces in it, and no unexported fields unless their tag is `msgpack:"-"` or the type
// marshals itself.
//
// Arguments are separated by spaces. One that contains spaces is quoted as a whole, as
// a Go string: "store=my store". Inside the parentheses of a target, spaces and quoted
// strings need nothing more. A directive cannot end with a comment.
//
// Files of tests have output of their own, x_cachegen_test.go for x_test.go. Files that
// build constraints exclude are left to a run that includes them.
//
// # Options
//
// Options of getorset, and as defaults for all methods of wrap:
//
//	ttl=5m            how long a value is fresh; forever is possible
//	l1ttl=1m          how long memory serves it before it looks at the shared tier again; at most ttl
//	jitter=10%        by how much at most, at random, the ttl is shortened; or a duration
//	refresh=80%       after which part of the ttl a read loads anew behind its back; or a duration
//	grace=6h          how long after the ttl it may be served stale; no grace by default
//	gracebackoff=10s  how long a failed loader is left alone while a grace value stands in; at most grace
//	timeout=200ms     how long to wait for the loader when there is a grace value; by default not at all
//	hardtimeout=2s    how long a loader may run, more than timeout; no limit by default
//	locktimeout=1s    how long to wait for the load of another caller; no limit by default
//	notfound=ERROR    the error that says that there is nothing, such as sql.ErrNoRows; or nil, for the value nil
//	notfoundttl=30s   how long it is remembered that there is nothing; as long as a value by default
//	errorttl=2s       how long the error of a loader is remembered when no grace value stands in; not by default
//	tag=TAG           a tag of every entry; repeats, and those of wrap and getorset add up
//	store=NAME        the store, by its name in runtime.NewStores; the first one by default
//	namespace=NAME    what the keys are kept in; none by default
//	shared            every caller gets the same value and promises not to change it
//
// Options of getorset alone:
//
//	name=Entity       what generated names are made of, see below
//	ignore=param      a parameter, or with param.Field a field of one, that is not in the key on purpose; repeats; of batch too
//
// Of batch alone:
//
//	max=N             the loader of a batch is asked for at most N keys at a time, several times if need be; a call that
//	                  fails is the failure of its own keys
//	by=Field          which field of a value in a list has the element of the key that it belongs to
//
// Of all directives:
//
//	allow=CODE        no warning with that code; repeats. The codes are effect, for options that change nothing,
//	                  excluded, for directives in files that build constraints exclude, and bypass, for
//	                  annotated methods of an embedded type that bypass the cache
//
// Durations are Go's (300ms, 1h30m) with d for 24 hours and w for 7 days in front: 2d,
// 1w2d12h. A zero switches off what wrap or the store would give; a ttl is greater
// than zero. Percentages go from 1% to 99%. What neither directive gives is the store's:
// see TTL, Grace and the others in package runtime. Commas separate nothing: options
// repeat.
//
// An error that notfound names is a variable or constant of this package or, as sql.ErrNoRows, of one
// that a file of this package imports. A loader may also return (V, bool, error), where
// false says that there is nothing.
//
// A function with a parameter that ends with its request, such as a *sql.Tx, must not be
// loaded in the background: it needs grace=0 and no refresh.
//
// # Keys and tags
//
// A key or tag is segments between colons, each literal text with at most one
// placeholder in it, without spaces, control characters and '%'. None begins with '@'
// or '!'.
//
//	user:{id}:page-{filter.Page}
//
// A placeholder is one of
//
//	{param}         a parameter
//	{param.Field}   a field of one, and so on: {filter.Page.Number}; no pointers on the way in a key
//	{recv.Field}    a field of the receiver
//	{result.Field}  in tags: of the result, or {result}; a tag that meets a nil pointer is left out
//
// Its type is an integer, bool or string type, a type parameter that can be nothing else,
// or a comparable struct or array type with MarshalText and, on its pointer,
// UnmarshalText. A time.Time is refused. Strings and texts are escaped, so that different
// values give different keys: control bytes, '%', ':', '{' and '}', and '@' or '!' at the
// beginning, become %XX.
//
// Every parameter has to be in the key: itself, or every field of it. What is not has
// to be ignored: ignore=limit, ignore=filter.Trace, or ignore=filter for all that the
// key does not use of filter. Variadic parameters can only be ignored, and those
// without a name are. Calls that differ only in that share one entry.
//
// Keys that can be equal to those of another function in the same store and namespace
// are refused, where a function that names no store is taken to be in any. A tag of a
// getorset is made of what is in the key or of the result, not of both.
//
// # Targets
//
// A target is a cached function with one argument for each parameter in its key, in their
// order: FindUser(id). Functions of one name are told apart by their type:
// UserRepo.FindUser(id). One of another package of the module is named as code would:
// users.FindUser(id), for which a file of this package imports users, as _ if nothing else
// needs it. An argument is a parameter, a result by its name (or result, if there is one),
// recv.Field, fields of these, an integer, a quoted string, true or false, of a type that
// is assignable. The last argument of a delete or expire may be a list, FindUser(ids...):
// one entry for each of its elements. Arguments are read when the function has returned:
// what it has changed behind a pointer or in a list counts as it is then.
//
// The target of a batch has a parameter with a list where the key has one of its elements:
// FindUser(ids). The loader returns a map from elements to values, or a list of values of
// which by= names the field with the element: by=ID. What it does not return is not found.
//
// # What is generated
//
// The entity is the function's name without its first word, if that is Find, Get,
// Load, Fetch, Read, Lookup, LookUp, Query, Select, List or Search; if nothing is left
// of the name, as of Get, it is the type of the value, where that has a name; name=
// overrides it. For FindUser it is User, and there are
//
//	UserKey, ParseUserKey  the typed key, with String and AppendText, and their inverse
//	TeamTag                for the tag team:{…}, a constructor
//	GetOrSetUser           reads through the cache
//	GetUser, HasUser       read what is there
//	SetUser                stores a value
//	DeleteUser, PullUser   delete; PullUser returns what was there
//	ExpireUser             keeps the value for grace only
//	GetOrSetUsers          for the batch loader FindUsers
//
// For a method these are methods of the wrapper, beside FindUser itself with its
// signature and a field User, the runtime.Cache; NewCachedUserRepo makes the wrapper, and
// UserDefinition is what runtime.Open makes the cache of elsewhere. Other annotated methods
// keep their names there. For a plain function they are functions, which work after
// BindCaches, or BindTestCaches in a package's own tests; a plain function Rename with set,
// delete, expire or clear becomes CachedRename. Helpers of unexported functions are
// unexported: getOrSetUser.
//
// Functions and types may be generic. Each list of type arguments has a cache of its own,
// in a namespace of its own; clear, in a method of a generic type, is for all of them.
//
// A helper whose name the wrapped type, or for plain functions the package, has
// already is called GetCachedUser, SetCachedUser, GetOrSetCachedUser and so on, and a field
// UserCache. Other names that clash are refused.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	if isVet(os.Args[1:]) {
		vet()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := dispatch(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// generate is the command without a name.
func generate(ctx context.Context, c *call) int {
	var opts options
	opts.source.register(c.flags)
	c.flags.BoolVar(&opts.check, "check", false, "write nothing; print what is out of date and exit with code 1")
	c.flags.BoolVar(&opts.verbose, "v", false, "print the names of the files that are written and removed")
	if code, ok := c.parse(); !ok {
		return code
	}
	opts.patterns = c.flags.Args()
	if cmd := find(opts.patterns); cmd != nil {
		fmt.Fprintf(c.stderr, "cachegen: flags come after the command: cachegen %s %s; a package of that name is ./%s\n",
			cmd.name, cmd.arguments, cmd.name)
		return exitFailure
	}
	if err := opts.source.resolve(); err != nil {
		return fail(c.stderr, err)
	}
	if len(opts.patterns) == 0 {
		opts.patterns = []string{"."}
	}
	return run(ctx, opts, c.stdout, c.stderr)
}
