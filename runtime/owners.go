package runtime

import (
	"fmt"
	"strings"
	"sync"
)

// keyOwners remembers which function's keys are written how.
type keyOwners struct {
	mu     sync.Mutex
	owners map[string]keyOwner
}

type keyOwner struct{ name, pattern string }

// claim fails if a function of another name has keys of the same form under base.
// Forms that differ are compared by the generator, which knows more of them. What is
// defined is remembered; the namespaces that a program makes of it as it runs, which
// may be one for each of its users, are not.
func (o *keyOwners) claim(base, pattern, name string, defined bool) error {
	if name == "" || pattern == "" {
		return nil
	}
	form := base + anonymous(pattern)
	o.mu.Lock()
	defer o.mu.Unlock()
	if owner, ok := o.owners[form]; ok && owner.name != name {
		return fmt.Errorf("its keys %s are written like the keys %s of %s: give one of them another namespace", pattern, owner.pattern, owner.name)
	}
	if !defined {
		return nil
	}
	if o.owners == nil {
		o.owners = make(map[string]keyOwner)
	}
	o.owners[form] = keyOwner{name, pattern}
	return nil
}

// anonymous returns a pattern without the names of its placeholders.
func anonymous(pattern string) string {
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
