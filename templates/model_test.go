package templates_test

import (
	"strings"
	"time"

	"github.com/cachegen/cachegen/templates"
)

const testdata = "github.com/cachegen/cachegen/templates/testdata/"

// newFile is a file with the imports that every file has.
func newFile(name string, more ...templates.Import) *templates.File {
	f := &templates.File{Path: testdata + name, Package: name}
	for _, path := range templates.Packages {
		f.Imports = append(f.Imports, templates.Import{Path: path, Name: path[strings.LastIndex(path, "/")+1:]})
	}
	f.Imports = append(f.Imports, more...)
	return f
}

// typ writes a type from pieces of text; a piece such as "net/netip.Addr" is a name of
// that package: typ("map[", "net/netip.Addr", "]int").
func typ(parts ...string) templates.Type {
	var t templates.Type
	for _, p := range parts {
		if i := strings.LastIndex(p, "."); i > 0 && !strings.ContainsAny(p, " {(") {
			t = append(t, templates.Part{Path: p[:i], Text: p[i+1:]})
		} else {
			t = append(t, templates.Part{Text: p})
		}
	}
	return t
}

func param(name string, parts ...string) templates.Param {
	return templates.Param{Name: name, Type: typ(parts...)}
}

func literal(text string) templates.Segment { return templates.Segment{Before: text, Field: -1} }

func value(field int) templates.Segment { return templates.Segment{Field: field} }

func arg(expr string, nonNil ...string) templates.TagArg {
	return templates.TagArg{Expr: expr, NonNil: nonNil}
}

func use(tag *templates.Tag, args ...templates.TagArg) templates.TagUse {
	return templates.TagUse{Tag: tag, Args: args}
}

func after(d time.Duration) *time.Duration { return &d }

// helpers sets the names of the generated functions.
func helpers(c *templates.Cache, entity string) *templates.Cache {
	c.Entity = entity
	c.GetOrSet, c.Get, c.Set, c.Delete = "GetOrSet"+entity, "GetCached"+entity, "SetCached"+entity, "DeleteCached"+entity
	c.Expire, c.Has, c.Pull = "ExpireCached"+entity, "HasCached"+entity, "PullCached"+entity
	return c
}

func usersFile() *templates.File {
	team := &templates.Tag{
		Func: "TeamTag", Pattern: "team:{teamID}",
		Params:   []templates.TagParam{{Name: "teamID", Type: typ("int64"), Form: templates.Int, Basic: "int64"}},
		Segments: []templates.Segment{literal("team"), value(0)},
	}
	repo := &templates.Wrapper{
		Type: "UserRepo", Name: "CachedUserRepo", Constructor: "NewCachedUserRepo",
		Param: "repo", Pointer: true, Receiver: "c",
	}
	user := helpers(&templates.Cache{
		Func: "FindUser", Wrapper: repo, Article: "user", Pattern: "user:{id}",
		Label:    "example.com/app/users.UserRepo.FindUser",
		Variable: "UserDefinition", KeyType: "UserKey", ParseKey: "ParseUserKey", Field: "User",
		Context: "ctx", Params: []templates.Param{param("id", "int64")}, KeyParams: []templates.Param{param("id", "int64")},
		Value: typ("*User"), ValueName: "user", ValueNil: true,
		Key: templates.Key{
			Fields:    []templates.Field{{Name: "ID", Source: "id", Type: typ("int64"), Form: templates.Int, Basic: "int64", Bits: 64}},
			Segments:  []templates.Segment{literal("user"), value(0)},
			IntPrefix: "user:", HasIntPrefix: true,
		},
		ResultTags: []templates.TagUse{use(team, arg("user.TeamID", "user"))},
		Namespace:  "users",
		Options: templates.Options{
			TTL: after(5 * time.Minute), Grace: after(6 * time.Hour),
			Timeout: after(200 * time.Millisecond), HardTimeout: after(2 * time.Second),
		},
	}, "User")
	repo.Caches = []*templates.Cache{user}
	config := helpers(&templates.Cache{
		Func: "LoadConfig", Article: "config", Pattern: "config:{name}",
		Label:    "example.com/app/users.LoadConfig",
		Variable: "configCache", KeyType: "ConfigKey", ParseKey: "ParseConfigKey",
		Context: "ctx", Params: []templates.Param{param("name", "string")}, KeyParams: []templates.Param{param("name", "string")},
		Value: typ("Config"), ValueName: "config",
		Key: templates.Key{
			Fields:   []templates.Field{{Name: "Name", Source: "name", Type: typ("string"), Form: templates.String, Basic: "string"}},
			Segments: []templates.Segment{literal("config"), value(0)},
		},
		Store: "local", Shared: true,
		Options: templates.Options{TTL: after(time.Hour)},
	}, "Config")

	f := newFile("users")
	f.Caches = []*templates.Cache{user, config}
	f.Tags = []*templates.Tag{team}
	f.Wrappers = []*templates.Wrapper{repo}
	f.Bind = []string{"configCache"}
	f.Writers = []*templates.Writer{
		{
			Func: "Rename", Name: "Rename", Wrapper: repo, Context: "ctx",
			Params:  []templates.Param{param("id", "int64"), param("name", "string")},
			Targets: []templates.Target{{Verb: templates.Delete, Cache: user, Handle: "c.User", Args: []templates.TagArg{arg("id")}, Text: "FindUser(id)"}},
		},
		{
			Func: "Create", Name: "Create", Wrapper: repo, Context: "ctx",
			Params:  []templates.Param{param("name", "string")},
			Results: []templates.Param{param("user", "*User")},
			Targets: []templates.Target{{Verb: templates.Set, Cache: user, Handle: "c.User", Args: []templates.TagArg{arg("user.ID", "user")}, Value: "user", Text: "FindUser(user.ID)"}},
		},
		{
			Func: "MoveTeam", Name: "MoveTeam", Wrapper: repo, Context: "ctx",
			Params: []templates.Param{param("from", "int64"), param("to", "int64")},
			Targets: []templates.Target{
				{Verb: templates.Delete, Handle: "c.User", Tag: &templates.TagUse{Tag: team, Args: []templates.TagArg{arg("from")}}, Text: "team:{from}"},
				{Verb: templates.Delete, Handle: "c.User", Tag: &templates.TagUse{Tag: team, Args: []templates.TagArg{arg("to")}}, Text: "team:{to}"},
			},
		},
		{
			Func: "SaveConfig", Name: "CachedSaveConfig", Context: "ctx",
			Params:  []templates.Param{param("name", "string"), param("config", "Config")},
			Targets: []templates.Target{{Verb: templates.Delete, Cache: config, Handle: "configCache", Args: []templates.TagArg{arg("name")}, Text: "LoadConfig(name)"}},
		},
	}
	return f
}

func clashFile() *templates.File {
	const kind = testdata + "clash/errors.Kind"
	f := newFile("clash")
	f.Constraint = "!plan9"
	f.Imports = []templates.Import{
		{Path: "context", Name: "context"},
		{Path: "errors", Name: "stderrors", Explicit: true},
		{Path: templates.RuntimePath, Name: "runtime"},
		{Path: testdata + "clash/errors", Name: "pkgerrors", Explicit: true},
		{Path: "strconv", Name: "stdstrconv", Explicit: true},
		{Path: "time", Name: "stdtime", Explicit: true},
	}
	kindTag := &templates.Tag{
		Func: "KindTag", Pattern: "kind:{b}",
		Params:   []templates.TagParam{{Name: "b", Type: typ("string"), Form: templates.String, Basic: "string"}},
		Segments: []templates.Segment{literal("kind"), value(0)},
	}
	lookup := helpers(&templates.Cache{
		Func: "Lookup", Article: "lookup", Pattern: "{kind}:{at}", Label: "clash.Lookup",
		Variable: "lookupCache", KeyType: "LookupKey", ParseKey: "ParseLookupKey", Context: "ctx",
		Params: []templates.Param{param("kind", kind), param("at", "time.Month")},
		Value:  typ("*", kind), ValueName: "lookup", ValueNil: true,
		Key: templates.Key{
			Fields: []templates.Field{
				{Name: "Kind", Source: "kind", Type: typ(kind), Form: templates.String, Basic: "string"},
				{Name: "At", Source: "at", Type: typ("time.Month"), Form: templates.Int, Basic: "int"},
			},
			Segments: []templates.Segment{value(0), value(1)},
		},
		Tags:    []templates.TagUse{use(kindTag, arg("string(k.Kind)"))},
		Options: templates.Options{TTL: after(90 * time.Minute), GraceBackoff: after(time.Second), Grace: after(14 * 24 * time.Hour), Timeout: after(0)},
	}, "Lookup")
	lookup.KeyParams = lookup.Params
	f.Caches = []*templates.Cache{lookup}
	f.Tags = []*templates.Tag{kindTag}
	f.Bind = []string{"lookupCache"}
	f.Writers = []*templates.Writer{{
		Func: "Reset", Name: "CachedReset", Context: "ctx",
		Params: []templates.Param{param("a", kind), param("b", kind)},
		Targets: []templates.Target{
			{Verb: templates.Expire, Cache: lookup, Handle: "lookupCache", Args: []templates.TagArg{arg("a"), arg("1")}, Text: "Lookup(a, 1)"},
			{Verb: templates.Expire, Handle: "lookupCache", Tag: &templates.TagUse{Tag: kindTag, Args: []templates.TagArg{arg("string(b)")}}, Text: "kind:{b}"},
		},
	}}
	return f
}
