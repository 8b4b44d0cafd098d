package registry

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Patterns remember, of one store, which function writes its keys by which pattern, and
// which type of values the ad-hoc caches under a prefix have. The zero value is ready.
type Patterns struct {
	mu     sync.Mutex
	owners map[string]patternOwner
	types  map[string]reflect.Type // of values, by prefix
	adHoc  map[string]adHocTypes   // by prefix
}

// maxTypes is how many prefixes' types are remembered: a program may make namespaces
// without end, and those that it begins with come first.
const maxTypes = 10_000

// claimType fails if ad-hoc caches under a prefix have values of another type: the two would
// find each other's entries. What is defined is remembered, as in Claim.
func (k *Patterns) claimType(prefix string, t reflect.Type, defined bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if other, ok := k.types[prefix]; ok && other != t {
		return fmt.Errorf("its keys are those of another cache, whose values are of type %v, not %v: give one of them a namespace of its own", other, t)
	}
	if !defined || len(k.types) >= maxTypes {
		return nil
	}
	if k.types == nil {
		k.types = make(map[string]reflect.Type)
	}
	k.types[prefix] = t
	return nil
}

type patternOwner struct{ name, pattern string }

// Claim fails if a function of another name has keys of the same form under a prefix.
// Forms that differ are compared by the generator, which knows more of them. What is
// defined is remembered; the namespaces that a program makes of it while it runs, which
// may be one for each of its users, are not. Of an ad-hoc cache, which has neither name nor
// pattern, the type of its values has to be that of others under the prefix. What a failed
// transaction has claimed is forgotten.
func (k *Patterns) Claim(t *Transaction, prefix, pattern, name string, values reflect.Type, defined bool) error {
	switch {
	case name == "" && pattern == "":
		return k.claimType(prefix, values, defined)
	case name == "" || pattern == "":
		return nil
	}
	form := prefix + withoutNames(pattern)
	k.mu.Lock()
	defer k.mu.Unlock()
	owner, known := k.owners[form]
	if known && owner.name != name {
		return fmt.Errorf("its keys %s are written like the keys %s of %s: give one of them another namespace", pattern, owner.pattern, owner.name)
	}
	if !defined || known {
		return nil
	}
	if k.owners == nil {
		k.owners = make(map[string]patternOwner)
	}
	k.owners[form] = patternOwner{name, pattern}
	t.OnFailure(func() { k.forget(form) })
	return nil
}

func (k *Patterns) forget(form string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.owners, form)
}

// withoutNames returns a pattern without the names of its placeholders.
func withoutNames(pattern string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(pattern, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString("{}")
		_, pattern, _ = strings.Cut(rest, "}")
	}
}
