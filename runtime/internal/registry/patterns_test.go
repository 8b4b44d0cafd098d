package registry

import (
	"fmt"
	"testing"
)

func TestNamespacesOfAFunctionAreNotRemembered(t *testing.T) {
	var owners Patterns
	for _, base := range []string{"", "@users:"} {
		if err := owners.Claim(new(Transaction), base, "name:{id}", "a.Load", true); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		if err := owners.Claim(new(Transaction), fmt.Sprintf("@tenant%d:", i), "name:{id}", "a.Load", false); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(owners.owners); n != 2 {
		t.Errorf("%d are remembered", n)
	}
	if err := owners.Claim(new(Transaction), "@users:", "name:{name}", "b.Load", false); err == nil {
		t.Error("a namespace with another function's keys was taken")
	}
}
