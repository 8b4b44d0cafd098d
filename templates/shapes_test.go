package templates_test

import (
	"time"

	"github.com/cachegen/cachegen/templates"
)

func shapesFile() *templates.File {
	repo := &templates.Wrapper{
		Type: "Repo", Name: "CachedRepo", Constructor: "NewCachedRepo", Param: "repo", Pointer: true, Receiver: "c",
	}
	team := &templates.Tag{
		Func: "TeamTag", Pattern: "team:{team}",
		Params:   []templates.TagParam{{Name: "team", Type: typ("uint32"), Form: templates.Uint, Basic: "uint32"}},
		Segments: []templates.Segment{literal("team"), value(0)},
	}
	account := &templates.Tag{
		Func: "AccountTag", Pattern: "account:{id}:{slug}",
		Params: []templates.TagParam{
			{Name: "id", Type: typ("int64"), Form: templates.Int, Basic: "int64"},
			{Name: "slug", Type: typ("string"), Form: templates.String, Basic: "string"},
		},
		Segments: []templates.Segment{literal("account"), value(0), value(1)},
	}
	addr := &templates.Tag{
		Func: "AddrTag", Pattern: "net:{addr}",
		Params:   []templates.TagParam{{Name: "addr", Type: typ("net/netip.Addr"), Form: templates.Text}},
		Segments: []templates.Segment{literal("net"), value(0)},
	}
	all := &templates.Tag{Func: "EverythingTag", Pattern: "everything:now", Segments: []templates.Segment{literal("everything"), literal("now")}}

	accounts := helpers(&templates.Cache{
		Func: "ListAccounts", Wrapper: repo, Article: "accounts", Pattern: "{recv.tenant}:accounts:t{filter.Team}-x:{key}:{ok}", ManySources: true,
		Label: "shapes.Repo.ListAccounts", Variable: "AccountsDefinition", KeyType: "AccountsKey", ParseKey: "ParseAccountsKey", Field: "Accounts",
		Context: "ctx",
		Params: []templates.Param{
			param("filter", "Filter"), param("key", "Slug"), param("ok", "Enabled"),
			{Name: "opts", Type: typ("Option"), Variadic: true},
		},
		KeyParams: []templates.Param{param("filter", "Filter"), param("key", "Slug"), param("ok", "Enabled")},
		Value:     typ("[]Account"), ValueName: "accounts", ValueNil: true,
		Key: templates.Key{
			Fields: []templates.Field{
				{Name: "Tenant", Source: "c.Repo.tenant", Type: typ("string"), Form: templates.String, Basic: "string"},
				{Name: "FilterTeam", Source: "filter.Team", Type: typ("TeamID"), Form: templates.Uint, Basic: "uint32", Bits: 32},
				{Name: "Key", Source: "key", Type: typ("Slug"), Form: templates.String, Basic: "string"},
				{Name: "OK", Source: "ok", Type: typ("Enabled"), Form: templates.Bool, Basic: "bool"},
			},
			Segments: []templates.Segment{value(0), literal("accounts"), {Before: "t", Field: 1, After: "-x"}, value(2), value(3)},
		},
		Tags:    []templates.TagUse{use(all), use(team, arg("uint32(k.FilterTeam)"))},
		Options: templates.Options{Forever: true, GraceBackoff: after(30 * time.Second)},
	}, "Accounts")

	host := helpers(&templates.Cache{
		Func: "GetHost", Wrapper: repo, Article: "host", Pattern: "host:{addr}",
		Label: "shapes.Repo.GetHost", Variable: "HostDefinition", KeyType: "HostKey", ParseKey: "ParseHostKey", Field: "Host",
		Context: "ctx", Params: []templates.Param{param("addr", "net/netip.Addr")}, KeyParams: []templates.Param{param("addr", "net/netip.Addr")},
		Value: typ("struct{ Name string; Seen ", "time.Time", " }"), ValueName: "host",
		Key: templates.Key{
			Fields:   []templates.Field{{Name: "Addr", Source: "addr", Type: typ("net/netip.Addr"), Form: templates.Text}},
			Segments: []templates.Segment{literal("host"), value(0)},
		},
		Tags: []templates.TagUse{use(addr, arg("k.Addr"))},
	}, "Host")

	limit := helpers(&templates.Cache{
		Func: "findLimit", Wrapper: repo, Article: "limit", Pattern: "limit:{team}",
		Label: "shapes.Repo.findLimit", Variable: "limitDefinition", KeyType: "limitKey", ParseKey: "parseLimitKey", Field: "limit",
		Context: "ctx",
		Params: []templates.Param{
			param("team", "TeamID"), param("visit", "func(map[string]int) error"), param("shape", "struct{ A, B int }"),
		},
		KeyParams: []templates.Param{param("team", "TeamID")},
		Value:     typ("int"), ValueName: "limit",
		Key: templates.Key{
			Fields:    []templates.Field{{Name: "Team", Source: "team", Type: typ("TeamID"), Form: templates.Uint, Basic: "uint32", Bits: 32}},
			Segments:  []templates.Segment{literal("limit"), value(0)},
			IntPrefix: "limit:", HasIntPrefix: true,
		},
		ResultTags: []templates.TagUse{use(team, arg("uint32(limit)"))},
	}, "Limit")
	limit.GetOrSet, limit.Get, limit.Set, limit.Delete = "getOrSetLimit", "getLimit", "setLimit", "deleteLimit"
	limit.Expire, limit.Has, limit.Pull = "expireLimit", "hasLimit", "pullLimit"

	settings := helpers(&templates.Cache{
		Func: "Settings", Wrapper: repo, Article: "settings", Pattern: "settings:all",
		Label: "shapes.Repo.Settings", Variable: "SettingsDefinition", KeyType: "SettingsKey", ParseKey: "ParseSettingsKey", Field: "SettingsEntry",
		Context: "ctx", Value: typ("map[string]string"), ValueName: "settings", ValueNil: true,
		Key:  templates.Key{Segments: []templates.Segment{literal("settings"), literal("all")}},
		Tags: []templates.TagUse{use(all)},
	}, "Settings")

	bare := helpers(&templates.Cache{
		Func: "Bare", Wrapper: repo, Article: "bare", Pattern: "{n}",
		Label: "shapes.Repo.Bare", Variable: "BareDefinition", KeyType: "BareKey", ParseKey: "ParseBareKey", Field: "BareText",
		Context: "ctx", Params: []templates.Param{param("n", "int")}, KeyParams: []templates.Param{param("n", "int")},
		Value: typ("string"), ValueName: "bare",
		Key: templates.Key{
			Fields:       []templates.Field{{Name: "N", Source: "n", Type: typ("int"), Form: templates.Int, Basic: "int"}},
			Segments:     []templates.Segment{value(0)},
			HasIntPrefix: true,
		},
	}, "Bare")

	promoted := helpers(&templates.Cache{
		Func: "Promote", Wrapper: repo, Article: "account", Pattern: "promoted:{id}",
		Label: "shapes.Repo.Promote", Variable: "PromotedDefinition", KeyType: "PromotedKey", ParseKey: "ParsePromotedKey", Field: "Promoted",
		Context: "ctx", Params: []templates.Param{param("id", "int64")}, KeyParams: []templates.Param{param("id", "int64")},
		Value: typ("*Account"), ValueName: "account", ValueNil: true,
		Key: templates.Key{
			Fields:    []templates.Field{{Name: "ID", Source: "id", Type: typ("int64"), Form: templates.Int, Basic: "int64", Bits: 64}},
			Segments:  []templates.Segment{literal("promoted"), value(0)},
			IntPrefix: "promoted:", HasIntPrefix: true,
		},
		// The second tag is behind a pointer of its own, and the third does not
		// say that it is behind the value.
		ResultTags: []templates.TagUse{
			use(account, arg("account.ID", "account"), arg("string(account.Slug)", "account")),
			use(team, arg("uint32(account.Team.ID)", "account", "account.Team")),
			use(account, arg("account.ID"), arg(`"same"`)),
		},
	}, "Promoted")
	repo.Caches = []*templates.Cache{accounts, host, limit, settings, bare, promoted}

	f := newFile("shapes", templates.Import{Path: "net/netip", Name: "netip"})
	f.Caches = repo.Caches
	f.Tags = []*templates.Tag{all, team, addr, account}
	f.Wrappers = []*templates.Wrapper{repo}
	f.Writers = shapesWriters(repo, promoted, settings, team, account, all)
	return f
}

func shapesWriters(repo *templates.Wrapper, promoted, settings *templates.Cache, team, account, all *templates.Tag) []*templates.Writer {
	tagged := func(verb templates.Verb, text string, tag *templates.Tag, args ...templates.TagArg) templates.Target {
		u := use(tag, args...)
		return templates.Target{Verb: verb, Handle: "c.Promoted", Tag: &u, Text: text}
	}
	entry := func(verb templates.Verb, text string, args ...templates.TagArg) templates.Target {
		return templates.Target{Verb: verb, Cache: promoted, Handle: "c.Promoted", Args: args, Text: text}
	}
	into := arg("into.ID", "into")
	stored := entry(templates.Set, "Promote(account.ID)", arg("account.ID", "account"))
	stored.Value = "account"
	return []*templates.Writer{
		{
			Func: "Merge", Name: "Merge", Wrapper: repo, Context: "ctx",
			Params:  []templates.Param{param("into", "*Account"), param("from", "*Account")},
			Results: []templates.Param{param("account", "*Account"), param("moved", "int")},
			Targets: []templates.Target{
				{Verb: templates.Delete, Cache: settings, Handle: "c.SettingsEntry", Text: "Settings()"},
				entry(templates.Delete, "Promote(into.ID)", into),
				stored,
				tagged(templates.Delete, "everything:now", all),
				tagged(templates.Expire, "team:{into.Team.ID}", team, arg("uint32(into.Team.ID)", "into", "into.Team")),
				tagged(templates.Delete, "team:{from.Team.ID}", team, arg("uint32(from.Team.ID)", "from", "from.Team")),
			},
		},
		{
			Func: "Demote", Name: "Demote", Wrapper: repo, Context: "ctx",
			Params:  []templates.Param{param("id", "int64")},
			Results: []templates.Param{param("account", "*Account")},
			Targets: []templates.Target{
				tagged(templates.Delete, "team:{account.Team.ID}", team, arg("uint32(account.Team.ID)", "account", "account.Team")),
				entry(templates.Expire, "Promote(account.ID)", arg("account.ID", "account")),
				tagged(templates.Delete, "team:{account.Team.Lead.Team.ID}", team,
					arg("uint32(account.Team.Lead.Team.ID)", "account", "account.Team", "account.Team.Lead", "account.Team.Lead.Team")),
			},
		},
		{
			Func: "Transfer", Name: "Transfer", Wrapper: repo, Context: "ctx",
			Params: []templates.Param{param("a", "*Account"), param("b", "*Account")},
			Targets: []templates.Target{
				tagged(templates.Delete, "account:{a.ID}:{a.Slug}", account, arg("a.ID", "a"), arg("string(a.Slug)", "a")),
				tagged(templates.Delete, "account:{b.ID}:{b.Slug}", account, arg("b.ID", "b"), arg("string(b.Slug)", "b")),
			},
		},
		{
			Func: "Tune", Name: "Tune", Wrapper: repo, Context: "ctx",
			Params:  []templates.Param{param("err", "string"), {Name: "options", Type: typ("Option"), Variadic: true}},
			Targets: []templates.Target{{Verb: templates.Expire, Cache: settings, Handle: "c.SettingsEntry", Text: "Settings()"}},
		},
	}
}
