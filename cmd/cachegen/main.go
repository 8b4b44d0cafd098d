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
// directives, user_repo.go, one file is written next to it, user_repo_cachegen.go. Such
// files are removed when there is nothing left to generate; but in a run of go generate, which opens them
// afterwards, they are left without code, and the next run by hand removes them. A package with a problem
// keeps the files that it has. The flags are
//
//	-C dir      change to dir first
//	-check      write nothing; print what is out of date as a diff
//	-tags list  comma-separated build tags
//	-v          print the names of the files that are written and removed
//
// The exit code is 0 on success, 1 if the sources have problems or, with -check, a
// file is out of date, and 2 if the command was used wrongly or the packages could not
// be loaded. Problems go to standard error as file:line:col: message [code].
//
// # What is cached
//
// The command list prints every cached function of the packages, ./... by default: its key,
// value, options and tags, and the functions of all those packages that change or delete its
// entries. Functions of tests come last. Functions with problems are not printed, and the exit
// code is 1. A clear or a tag that names no store is taken to be about the first store only. Its
// flags are
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
// except for those that need several packages. With -fix, misspelt directives, options and
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
//	//cache:expire [TARGET…] [tag=TAG…]    after a nil error, entries are expired: they stay as stale values for grace
//	//cache:clear [NAMESPACE]              after a nil error, a namespace is cleared: by default that of the type
//	//cache:transaction                    on a method that returns its type bound to a database transaction; see Transactions
//	//cache:with …                         on the next line: more arguments for the directive above
//
// A function either reads, with one getorset or batch, or has any number of set, delete,
// expire and clear. The value V must be stored and read back unchanged by msgpack: it contains no
// channels, functions and interfaces, and no unexported fields unless their tag is `msgpack:"-"` or
// the type marshals itself.
//
// Arguments are separated by spaces. One that contains spaces is quoted as a whole, as
// a Go string: "store=my store". Inside the parentheses of a target, spaces and quoted
// strings need no further quotes. A directive cannot end with a comment, and has no characters that
// cannot be seen or that turn the direction of text.
//
// Test files have their own output, x_cachegen_test.go for x_test.go, also where a directory has
// only tests. For files that build constraints exclude, run cachegen again with the flags that
// include them. As for the go command, ./... matches no directory that is called testdata or vendor,
// begins with _ or a dot, or has a go.mod of its own.
//
// # Options
//
// Options of getorset, and as defaults for all methods of wrap:
//
//	ttl=5m            how long a value is fresh; forever is possible
//	l1ttl=1m          how long the memory tier serves a value before it asks the shared tier again; at most ttl
//	jitter=10%        the ttl is shortened by a random part, at most this much of it; or a duration
//	refresh=80%       after this part of the ttl, a read also starts a load in the background; or a duration
//	grace=6h          how long after the ttl a value may be served stale; no grace by default
//	gracebackoff=10s  after a failed load, how long the stale value is served before the next load; at most grace
//	timeout=200ms     how long to wait for the loader when there is a stale value; no wait by default
//	hardtimeout=2s    how long a loader may run before its context is cancelled, more than timeout; no limit by default
//	locktimeout=1s    how long to wait for a load of the same key by another caller; no limit by default
//	notfound=ERROR    the error that means that there is no value, such as sql.ErrNoRows; or nil, for the value nil
//	notfoundttl=30s   how long it is remembered that there is no value; not at all by default
//	errorttl=2s       how long an error of the loader is remembered if there is no stale value; not by default
//	tag=TAG           a tag of every entry; repeats, and those of wrap and getorset add up
//	store=NAME        the store, by its name; the first of runtime.NewStores by default
//	namespace=NAME    the namespace of the keys; none by default
//	shared            all callers get the same value, not a copy, and promise not to change it
//	instances=shared  all values that have the method read the same data; see Several values of one type
//
// Of getorset and batch:
//
//	name=Entity       what generated names are made of, see below
//	ignore=param      a parameter, or with param.Field a field of one, that is intentionally not in the key; repeats
//
// Of batch alone:
//
//	max=N             at most N keys are loaded with one call of the loader; if a call fails, only its own keys fail
//	by=Field          for a list: the field of a value that holds the element of the key
//
// Of getorset, set, delete, expire and clear, and as a default for all methods of wrap:
//
//	invalidationerrors=log   a shared tier or bus that an invalidation does not reach is logged, and
//	                         is no error; report, the default, makes it one. Either way it is tried
//	                         again. For getorset, the option is that of the functions that touch
//	                         only the cache
//
// Of set, delete, expire and clear:
//
//	collect           the function is called inside a transaction, and fails unless its context holds what
//	                  it changes until the commit; see Transactions
//
// Of all directives but transaction:
//
//	allow=CODE        silences warnings with that code; repeats. The codes are lossy, for values of
//	                  which only a text can be stored, effect, for options that have no effect,
//	                  excluded, for directives in files that build constraints exclude, bypass, for
//	                  annotated methods of an embedded type that bypass the cache, and transaction, for
//	                  functions by which others notice a transaction before it has been committed
//
// Durations are Go's (300ms, 1h30m) with d for 24 hours and w for 7 days in front: 2d,
// 1w2d12h. A zero switches off what wrap or the store would give; a ttl is greater
// than zero. Percentages go from 1% to 99%. For what neither directive gives, the options of the
// store count: see TTL, Grace and the others in package runtime. An option with several values is
// repeated, not separated by commas.
//
// An error that notfound names is a variable or constant of this package or, as sql.ErrNoRows, of one
// that a file of this package imports. A loader may also return (V, bool, error), where
// false means that there is no value, and so does a nil pointer. An empty list is a value, nil or
// not, unless notfound=nil says otherwise. The callers of a load get all that the loader returns, also
// a value beside false or an error; what is remembered is only that there is none.
//
// A function with a parameter that is only valid during its request, such as a *sql.Tx, must not be
// loaded in the background: it needs grace=0 and no refresh.
//
// # Keys and tags
//
// A key or tag consists of segments with colons between them. A segment is literal text with at
// most one placeholder in it, without spaces, control characters and '%'. It does not begin with '@'
// or '!'.
//
//	user:{id}:page-{filter.Page}
//
// A placeholder is one of
//
//	{param}         a parameter
//	{param.Field}   a field of one, and so on: {filter.Page.Number}; no pointers on the way in a key
//	{recv.Field}    a field of the receiver
//	{result.Field}  in tags: of the result, or {result}; if a pointer on the way is nil, the entry does not get the tag
//	{name}          in tags of a delete or expire: a result of that name, or {name.Field}
//
// Its type is an integer, bool or string type, a type parameter that is restricted to these,
// or a comparable struct or array type with MarshalText and, on its pointer,
// UnmarshalText. A time.Time is refused. Strings and texts are escaped, so that different
// values give different keys: control bytes, '%', ':', '{' and '}', and '@' or '!' at the
// beginning, become %XX.
//
// Every parameter must be in the key: itself, or every field of it. What is not in the key
// must be ignored: ignore=limit, ignore=filter.Trace, or ignore=filter for all fields of filter
// that the key does not use. Variadic parameters can only be ignored; parameters
// without a name always are. Calls that differ only in ignored parameters share one entry.
//
// Keys that can be equal to those of another function in the same store and namespace
// are refused; a function that names no store can be in any store. A tag of a
// getorset is made of what is in the key or of the result, not of both.
//
// # Targets
//
// A target is a cached function with one argument for each parameter in its key, in their
// order: FindUser(id). A method of the writer's own type and a plain function are named by
// their name alone, a method of another type with its type: UserRepo.FindUser(id). One of
// another package of the module has the package in front: users.LoadQuota(id), and with its
// type users.UserRepo.FindUser(id). A file of this package imports users for that, as _ if
// nothing else needs it. So a directive never means something else because one more function
// is cached or one more package imported: what could be meant twice is an error.
//
// An argument is a parameter, a result by its name (or result, if there is one), recv.Field,
// fields of these, an integer, a quoted string, true or false, of a type that is assignable. The
// last argument of a delete or expire may be a list, FindUser(ids...): one entry for each of its
// elements. Arguments are read after the function has returned, so they have the values that it
// has left behind a pointer or in a list.
//
// The target of a batch has a parameter with a list where the key has one of its elements:
// FindUser(ids). The loader returns a map from elements to values, or a list of values with
// by= for the field that holds the element: by=ID. What it does not return is not found. Options, tags
// and notfound are those of the target: a value is the same whichever loader has loaded it.
//
// # What is generated
//
// The entity is what a cached value is called: the function's name without its first word, if that is
// Find, Get, Load, Fetch, Read, Lookup, LookUp, Query, Select, List or Search. For FindUser it is User.
//
// Where that does not say what the value is, the value's type does, if it has a name.
//
//   - If the function's name is only such a first word, or has a preposition behind it, the type comes
//     first: for a *User, Get is User and FindByID is UserByID. Prepositions are After, At, Before, Between,
//     By, For, From, In, Near, Of, On, Per, Since, To, With and Without.
//   - If the value is a slice or map of the type, also of slices or maps of it, and the function's name,
//     up to a preposition, neither ends with a plural nor names the type, the type's plural comes behind
//     that: for a []*Product, ListCategory is CategoryProducts, and ListCategoryByName is
//     CategoryProductsByName. If it ends with the type's name, that becomes a plural: ListProduct is
//     Products. ListProducts, ListUsersByTeam and ListProductHistory stay as they are.
//   - Slices and maps of strings, numbers and the like, and those whose type has a name, are called like
//     one value. A function whose name does not begin with one of those words keeps its name.
//
// A batch loader is named in the same way. The option name= overrides all of this.
//
// For the entity User, the generated names are
//
//	UserKey, ParseUserKey  the typed key, with String and AppendText, and their inverse
//	TeamTag                for the tag team:{…}, a constructor; for team:{…}:members it is TeamMembersTag
//	GetOrSetUser           reads through the cache
//	GetCachedUser          reads the cache without loading
//	HasCachedUser          says whether the cache has a fresh value
//	SetCachedUser          stores a value
//	DeleteCachedUser       deletes the entry
//	PullCachedUser         deletes the entry and returns the value that was in it
//	ExpireCachedUser       makes the value stale, so that it serves as grace value only
//	GetOrSetUsers          for the batch loader FindUsers
//
// For a method these are methods of the wrapper, which also has FindUser itself, with its
// signature, and a field User, the runtime.Cache; it is UserCache if the method or its type is called User.
// NewCachedUserRepo makes the wrapper, and
// with UserDefinition other code can open the same cache. Other annotated methods
// keep their names. For a plain function they are functions, which work after
// BindCaches (those of the package's test files after BindTestCaches); a plain function Rename with
// set, delete, expire or clear becomes CachedRename. Helpers of unexported functions are
// unexported: getOrSetUser.
//
// Annotated methods that a type has from one that it embeds, in the same package and not generic, go
// through the cache in its wrapper too, if it has a directive of its own. The entries are those of the
// embedded type's wrapper, and so are key, tags, store and all other options: what cache:wrap says
// holds for the methods that the type declares itself, and is refused if it declares no cached one.
//
// Functions and types may be generic. Each list of type arguments has a cache of its own,
// in a namespace of its own; clear, in a method of a generic type, is for all of them.
//
// A generated name depends on the annotated function and its directives, and on nothing else that the
// type or the package has. If it is in use there, that is an error, and name= chooses another: otherwise
// a method that is added to a type could change what a name means in code that stays as it is.
//
// # Transactions
//
// What is changed inside a database transaction is held until the commit, by a context of
// runtime.Collect, or of a function of package runtime/transaction. A writer is called with that
// context, and nothing else is needed where the function that it wraps finds the transaction itself.
//
// Many types have a method that returns the type bound to a transaction: (*Queries).WithTx of sqlc, or
// one of a repository that is written by hand. The wrapper then has this method, too, and returns a
// wrapper of the transaction:
//
//	err := transaction.SQL(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
//		return users.WithTx(tx).Rename(ctx, id, name) // users is a *CachedUserRepo
//	})
//
// Readers of such a wrapper call their loaders, because a transaction may see rows that nobody else
// sees, and neither use nor fill a cache. What its writers and its caches change is held by the context.
// With a context that holds nothing, and in a writer that takes none, they return
// runtime.ErrNotCollected: the transaction has to be rolled back.
//
// The method is found by its signature. It returns the type, a pointer to it, or an interface that the
// type implements, before an error if it returns one. After a context, if it takes one, it has one
// parameter, which
//
//   - has methods Commit and Rollback, as *sql.Tx, *sqlx.Tx, pgx.Tx, bun.Tx and *ent.Tx do;
//   - or has a method Exec or ExecContext, as the DBTX of sqlc and *gorm.DB do, and its name has the word
//     tx, txn, trx or transaction;
//   - or is a pointer, an interface or a struct of whatever type, and the method's name has such a word:
//     WithTx, WithTrx, InTransaction.
//
// For other methods, such as one that finds the transaction in its context, write //cache:transaction
// above it: its parameters may be any. What it returns is the type, a pointer or an interface as above.
//
// The wrapper's method returns a pointer to the wrapper or, if the method returns an interface, this
// interface; in that holds what the wrapper wraps, or the method panics. If nil is given for a
// transaction of the first two kinds, there is none, and the new wrapper works as the one whose method
// is called. If the package declares the method for the wrapper, it stays, and nothing is generated: so
// the type's own method can be had, if an interface needs it. A method that a type has from one that it
// embeds is not replaced, of which a warning tells.
//
// A writer that takes a transaction as a parameter, one of the first two kinds, changes caches before
// the commit if its context holds nothing, of which a warning tells. With collect it fails then, like
// those of the wrappers above. A cached function that takes one caches what nobody has committed if its
// context holds nothing, of which a warning tells, too.
//
// # Several values of one type
//
// The value that a wrapper wraps is the source of its caches. Two values in one cache would get what
// the other has loaded. So a constructor fails if another value is already the source of one of its
// caches, in the same runtime.Stores. There are three ways to have several:
//
//	runtime.Within("tenant-a")  given to the constructor: the wrapper's entries are in a namespace of their
//	                            own, inside that of the directive, or else in the store; several are a path;
//	                            the name is the same in every process
//	{recv.Field}                in the key, which then tells the values apart: user:{recv.tenant}:{id}
//	instances=shared            in the directive: all values read the same data, as repositories do that are
//	                            made for each request
//
// Values are one source if they are the same pointer, or equal by ==; of a type without a size there
// is one. A value that cannot be compared is another each time. The source of a method that a type has
// from one that it embeds is the embedded value. A store keeps the first source, and all that it refers
// to, for as long as the store is in use; with instances=shared or {recv.Field} it keeps none.
//
// A Within holds for all caches that the constructor opens, also those of other types that its methods
// change. It does not hold for functions without a receiver: their caches are in no Within, and of a
// method's cache they change what is in none. Tags are those of the whole store, and cache:clear clears
// a namespace with those inside, also in a method of a wrapper that is in one of them.
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
