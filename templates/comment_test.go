package templates

import "testing"

func TestArticle(t *testing.T) {
	for name, want := range map[string]string{
		"User": "a", "Account": "an", "ItemsRepository": "an", "ent.Pet": "an", "Unit": "a", "UUID": "a", "[]Account": "a",
	} {
		if got := article(name); got != want {
			t.Errorf("article(%s) = %s, want %s", name, got, want)
		}
	}
}
