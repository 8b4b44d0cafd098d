package registry

import (
	"fmt"
	"strings"
	"sync"
)

// Patterns remember, of one store, which function writes its keys by which pattern, and
// which types of keys and values each ad-hoc cache has. The zero value is ready.
type Patterns struct {
	mu     sync.Mutex
	owners map[string]patternOwner
	adHoc  map[string]adHocTypes // by prefix
}

type patternOwner struct{ name, pattern string }

// Claim fails if a function of another name has keys of the same form under a prefix.
// Forms that differ are compared by the generator, which knows more of them. What is
// defined is remembered; the namespaces that a program makes of it while it runs, which
// may be one for each of its users, are not, nor what a failed transaction has claimed.
func (k *Patterns) Claim(t *Transaction, prefix, pattern, name string, defined bool) error {
	if name == "" || pattern == "" {
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
