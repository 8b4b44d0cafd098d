package templates_test

import "github.com/cachegen/cachegen/templates"

func valuesFile() *templates.File {
	rates := &templates.Wrapper{Type: "Rates", Name: "CachedRates", Constructor: "NewCachedRates", Param: "rates", Receiver: "c"}
	desk := &templates.Wrapper{Type: "Desk", Name: "CachedDesk", Constructor: "NewCachedDesk", Param: "desk", Pointer: true, Receiver: "c"}
	clerk := &templates.Wrapper{Type: "Clerk", Name: "CachedClerk", Constructor: "NewCachedClerk", Param: "clerk", Pointer: true, Receiver: "c"}

	rate := helpers(&templates.Cache{
		Func: "FindRate", Wrapper: rates, Article: "rate", Pattern: "rate:{currency}",
		Label: "values.Rates.FindRate", Variable: "RateDefinition", KeyType: "RateKey", ParseKey: "ParseRateKey", Field: "Rate",
		Context: "ctx", Params: []templates.Param{param("currency", "string")}, KeyParams: []templates.Param{param("currency", "string")},
		Value: typ("Rate"), ValueName: "rate",
		Key: templates.Key{
			Fields:   []templates.Field{{Name: "Currency", Source: "currency", Type: typ("string"), Form: templates.String, Basic: "string"}},
			Segments: []templates.Segment{literal("rate"), value(0)},
		},
	}, "Rate")
	rates.Caches = []*templates.Cache{rate}
	desk.Foreign = []templates.ForeignCache{{Field: "rate", Cache: rate}}

	branch := &templates.Wrapper{Type: "Branch", Name: "CachedBranch", Constructor: "NewCachedBranch", Param: "branch", Pointer: true, Receiver: "c"}
	branch.Foreign = []templates.ForeignCache{{
		Field: "rate", Cache: rate,
		Source: &templates.Embedded{Name: "rates", Type: typ("Rates"), TagArg: arg("*branch.Rates", "branch", "branch.Rates")},
	}}

	day := helpers(&templates.Cache{
		Func: "loadDay", Article: "day", Pattern: "day:{day}",
		Label: "values.loadDay", Variable: "dayCache", KeyType: "dayKey", ParseKey: "parseDayKey",
		Context: "ctx", Params: []templates.Param{param("day", "string")}, KeyParams: []templates.Param{param("day", "string")},
		Value: typ("int"), ValueName: "total",
		Key: templates.Key{
			Fields:   []templates.Field{{Name: "Day", Source: "day", Type: typ("string"), Form: templates.String, Basic: "string"}},
			Segments: []templates.Segment{literal("day"), value(0)},
		},
		Shared: true,
	}, "Day")
	day.GetOrSet, day.Get, day.Set, day.Delete = "getOrSetDay", "getDay", "setDay", "deleteDay"
	day.Expire, day.Has, day.Pull = "expireDay", "hasDay", "pullDay"

	count := helpers(&templates.Cache{
		Func: "CountDays", Article: "number of days", Pattern: "days",
		Label: "values.CountDays", Variable: "countDaysCache", KeyType: "CountDaysKey", ParseKey: "ParseCountDaysKey",
		Context: "ctx", Value: typ("int"), ValueName: "days",
		Key: templates.Key{Segments: []templates.Segment{literal("days")}},
	}, "CountDays")

	dayEntry := templates.Target{Cache: day, Handle: "dayCache", Args: []templates.TagArg{arg("day")}, Text: "loadDay(day)"}
	f := newFile("values")
	f.Caches = []*templates.Cache{rate, day, count}
	f.Wrappers = []*templates.Wrapper{rates, desk, branch, clerk}
	f.Bind = []string{"dayCache", "countDaysCache", "rateHandle"}
	f.Handles = []templates.Handle{{Name: "rateHandle", Cache: rate}}
	f.Writers = []*templates.Writer{
		{
			Func: "Publish", Name: "Publish", Wrapper: desk, Context: "ctx",
			Params: []templates.Param{param("currency", "string"), param("rate", "Rate")},
			Targets: []templates.Target{{
				Verb: templates.Set, Cache: rate, Handle: "c.rate", Args: []templates.TagArg{arg("currency")}, Value: "rate", Text: "Rates.FindRate(currency)",
			}},
		},
		{
			Func: "Close", Name: "Close", Wrapper: clerk, Context: "ctx",
			Params:  []templates.Param{param("day", "string")},
			Targets: []templates.Target{dayEntry, {Cache: count, Handle: "countDaysCache", Text: "CountDays()"}},
		},
		{
			Func: "Import", Name: "CachedImport", Context: "ctx",
			Params:  []templates.Param{param("currency", "string"), param("day", "string")},
			Results: []templates.Param{param("rate", "Rate")},
			Targets: []templates.Target{
				{Verb: templates.Set, Cache: rate, Handle: "rateHandle", Args: []templates.TagArg{arg("currency")}, Value: "rate", Text: "Rates.FindRate(currency)"},
				dayEntry,
			},
		},
	}
	return f
}
