package registry

import (
	"errors"
	"fmt"
	"reflect"
)

// adHocTypes are the types of an ad-hoc cache.
type adHocTypes struct{ key, value reflect.Type }

// maxAdHoc is how many ad-hoc caches are remembered: a program may make them in namespaces
// without end, and those that it begins with come first.
const maxAdHoc = 10_000

// ClaimAdHoc fails if there is an ad-hoc cache of that name under its prefix, which only
// caches of that name in that namespace have, with keys or values of another type: the two
// would find each other's entries. What is defined is remembered, as in Claim.
func (k *Patterns) ClaimAdHoc(t *Transaction, prefix, name string, key, value reflect.Type, defined bool) error {
	if name == "" {
		return errors.New("its name is empty: the name is a part of its keys, and what Clear goes by")
	}
	own := adHocTypes{key, value}
	k.mu.Lock()
	defer k.mu.Unlock()
	other, known := k.adHoc[prefix]
	if known && other != own {
		return fmt.Errorf("there is a Cache[%v, %v] of that name, and this is a Cache[%v, %v]: they would share their entries; give one of them another name or namespace",
			other.key, other.value, key, value)
	}
	if !defined || known || len(k.adHoc) >= maxAdHoc {
		return nil
	}
	if k.adHoc == nil {
		k.adHoc = make(map[string]adHocTypes)
	}
	k.adHoc[prefix] = own
	t.OnFailure(func() { k.forgetAdHoc(prefix) })
	return nil
}

func (k *Patterns) forgetAdHoc(prefix string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.adHoc, prefix)
}
