package runtime_test

import (
	"testing"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A deploy replaces a function by one whose keys look alike. What the old version stored
// may lack a tag of the new one, which then would not reach it, or may stand for something
// else. Each change of a definition that decides whether an old entry is right makes it a
// miss; nothing else does.
func TestADeployThatChangesADefinitionDoesNotServeOldEntries(t *testing.T) {
	type build = definition[int, int]
	team := func(int) []runtime.Tag { return []runtime.Tag{"team:1"} }
	base := build{Name: "f", Pattern: "user:{id}"}
	tagged := base
	tagged.Tags, tagged.TagPatterns = team, []string{"team:{id}"}
	both := tagged
	both.ResultTags, both.TagPatterns = team, []string{"team:{id}", "team:{result}"}
	of := func(b build, change func(*build)) build { change(&b); return b }
	for _, deploy := range []struct {
		what     string
		old, new build
		served   bool
	}{
		{"a tag more", base, tagged, false},
		{"a tag of the result more", base, of(base, func(b *build) { b.ResultTags, b.TagPatterns = team, []string{"team:{result}"} }), false},
		{"one of two tags more", tagged, both, false},
		{"a tag of something else", tagged, of(tagged, func(b *build) { b.TagPatterns = []string{"team:{id.Team}"} }), false},
		{"a tag less", tagged, base, false},
		{"another key that is written alike", base, of(base, func(b *build) { b.Pattern = "user:{number}" }), false},
		{"the order of tags", both, of(both, func(b *build) { b.TagPatterns = []string{"team:{result}", "team:{id}"} }), true},
		{"an option", base, of(base, func(b *build) { b.Options = []runtime.Option{runtime.TTL(runtime.Forever)} }), true},
		{"shared", base, of(base, func(b *build) { b.Shared = true }), true},
		{"what means that there is none", base, of(base, func(b *build) { b.NotFound = errSource }), true},
		{"nothing", both, both, true},
	} {
		t.Run(deploy.what, func(t *testing.T) {
			mayTell(t, "other tags")
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				var src source
				src.value.Store(1)
				old := openIn(t, deploy.old, runtime.L2(&shared), runtime.Prefix("p"))
				got, err := old.GetOrSet(t.Context(), 7, src.load)
				want(t, got, err, 1)
				cache := openIn(t, deploy.new, memoryTier(), runtime.L2(&shared), runtime.Prefix("p"))
				if _, ok, err := cache.Get(t.Context(), 7); err != nil || ok != deploy.served {
					t.Fatalf("served %v, %v, want %v", ok, err, deploy.served)
				}
				src.value.Store(2)
				got, err = cache.GetOrSet(t.Context(), 7, src.load)
				want(t, got == 1, err, deploy.served)
				if len(deploy.new.TagPatterns) == 0 {
					return
				}
				if err := cache.Store().DeleteByTag(t.Context(), "team:1"); err != nil {
					t.Fatal(err)
				}
				src.value.Store(3)
				for range 2 { // what the new version has stored itself has its tags, and is served
					got, err = cache.GetOrSet(t.Context(), 7, src.load)
					want(t, got, err, 3)
				}
				if deploy.served {
					wantLoads(t, &src, 2)
				} else {
					wantLoads(t, &src, 3)
				}
			})
		})
	}
}
