// Command cachegen writes typed cache wrappers for functions that are annotated with
// //cache: directives.
//
//	cachegen [flags] [packages]
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
// # Directives
//
// A directive is a line in the doc comment of a function, method or type, with no
// space after the slashes. Every annotated function takes a context.Context first and
// returns an error last. Generic functions and types are not supported yet.
//
//	//cache:wrap [NAME] [option…]          on a type, optional: the wrapper's name, and defaults for the methods
//	//cache:getorset KEY [option…]         on a func(ctx, …) (V, error): reads go through the cache
//	//cache:set TARGET…                    after a nil error, the result becomes the entry
//	//cache:delete [TARGET…] [tag=TAG…]    after a nil error, entries are deleted
//	//cache:expire [TARGET…] [tag=TAG…]    after a nil error, entries are expired: they stay as grace values
//	//cache:with …                         on the next line: more arguments for the directive above
//
// A function either reads, with one getorset, or has any number of set, delete and
// expire. The value V has to survive msgpack: no channels, functions and interfaces
// in it, and no unexported fields unless their tag is `msgpack:"-"` or the type
// marshals itself.
//
// Arguments are separated by spaces. One that contains spaces is quoted as a whole, as
// a Go string: "store=my store". Inside the parentheses of a target, spaces and quoted
// strings need nothing more. A directive cannot end with a comment.
//
// # Options
//
// Options of getorset, and as defaults for all methods of wrap:
//
//	ttl=5m            how long a value is fresh; forever is possible
//	grace=6h          how long after that it may be served stale; no grace by default
//	gracebackoff=10s  how long a failed loader is left alone while a grace value stands in; at most grace
//	timeout=200ms     how long to wait for the loader when there is a grace value; by default not at all
//	hardtimeout=2s    how long a loader may run, more than timeout; no limit by default
//	tag=TAG           a tag of every entry; repeats, and those of wrap and getorset add up
//	store=NAME        the store, by its name in runtime.NewStores; the first one by default
//	namespace=NAME    what the keys are kept in; none by default
//	shared            every caller gets the same value and promises not to change it
//
// Options of getorset alone:
//
//	name=Entity       what generated names are made of, see below
//	ignore=param      a parameter, or with param.Field a field of one, that is not in the key on purpose; repeats
//
// Durations are Go's (300ms, 1h30m) with d for 24 hours and w for 7 days in front: 2d,
// 1w2d12h. A zero switches off what wrap or the store would give; a ttl is greater
// than zero. What neither directive gives is the store's: see TTL, Grace and the
// others in package runtime. Commas separate nothing: options repeat.
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
// Its type is an integer, bool or string type, or a comparable struct or array type
// with MarshalText and, on its pointer, UnmarshalText. A time.Time is refused. Strings
// and texts are escaped, so that different values give different keys: control bytes,
// '%', ':', '{' and '}', and '@' or '!' at the beginning, become %XX.
//
// Every parameter has to be in the key: itself, or every field of it. What is not has
// to be ignored: ignore=limit, ignore=filter.Trace, or ignore=filter for all that the
// key does not use of filter. Variadic parameters can only be ignored, and those
// without a name are. Calls that differ only in that share one entry.
//
// Keys that can be equal to those of another function in the same store and namespace
// are refused, where a function that names no store is taken to be in any. A tag of a getorset is made of what is in the key or of the result, not
// of both.
//
// # Targets
//
// A target is a cached function of the package with one argument for each parameter in
// its key, in their order: FindUser(id). Functions of one name are told apart by their
// type: UserRepo.FindUser(id). An argument is a parameter, a result by its name (or
// result, if there is one), recv.Field, fields of these, an integer, a quoted string,
// true or false, of a type that is assignable.
//
// # What is generated
//
// The entity is the function's name without its first word, if that is Find, Get,
// Load, Fetch, Read, Lookup, LookUp, Query, Select, List or Search; name= overrides
// it. For FindUser it is User, and there are
//
//	UserKey, ParseUserKey  the typed key, with String and AppendText, and their inverse
//	TeamTag                for the tag team:{…}, a constructor
//	GetOrSetUser           reads through the cache
//	GetUser, HasUser       read what is there
//	SetUser                stores a value
//	DeleteUser, PullUser   delete; PullUser returns what was there
//	ExpireUser             keeps the value for grace only
//
// For a method these are methods of the wrapper, beside FindUser itself with its
// signature and a field User, the runtime.Cache; NewCachedUserRepo makes the wrapper.
// Other annotated methods keep their names there. For a plain function they are
// functions, which work after BindCaches; a plain function Rename with set, delete or
// expire becomes CachedRename. Helpers of unexported functions are unexported:
// getOrSetUser.
//
// A helper whose name the wrapped type, or for plain functions the package, has
// already is called GetCachedUser, SetCachedUser, GetOrSetCachedUser and so on. Other
// names that clash are refused.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is main without the process around it.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("cachegen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: cachegen [flags] [packages]")
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "The directives and their options: go doc github.com/cachegen/cachegen/cmd/cachegen")
	}
	var opts options
	flags.BoolVar(&opts.check, "check", false, "write nothing; print what is out of date and exit with code 1")
	flags.StringVar(&opts.tags, "tags", "", "comma-separated `list` of build tags")
	flags.BoolVar(&opts.verbose, "v", false, "print the names of the files that are written and removed")
	dir := flags.String("C", ".", "change to `dir` first")
	if err := flags.Parse(args); err == flag.ErrHelp {
		return exitOK
	} else if err != nil {
		return exitFailure
	}
	var err error
	if opts.dir, err = filepath.Abs(*dir); err == nil {
		_, err = os.Stat(opts.dir)
	}
	if err != nil {
		fmt.Fprintln(stderr, "cachegen:", err)
		return exitFailure
	}
	opts.patterns = flags.Args()
	if len(opts.patterns) == 0 {
		opts.patterns = []string{"."}
	}
	return run(ctx, opts, stdout, stderr)
}
