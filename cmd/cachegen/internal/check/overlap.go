package check

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
)

// A keySpace holds keys that have equally many segments and can therefore be equal. Stores are not
// part of it: a function that names none can be in any store.
type keySpace struct {
	namespace string
	segments  int
}

// overlapRule compares the keys of a package with each other and with those of the packages before.
type overlapRule struct{ *pass }

// check reports cached functions of one store and namespace whose keys can be equal, each with the
// first other one that it meets.
func (p overlapRule) check() {
	for _, c := range p.Caches {
		if len(c.Shapes) != len(c.Pattern.Segments) || len(c.Shapes) == 0 {
			continue // the key is not known
		}
		space := keySpace{c.Namespace, len(c.Shapes)}
		for _, other := range p.keys[space] {
			apart := c.Store != other.Store && c.Store != "" && other.Store != ""
			if apart || !key.Overlap(c.Shapes, other.Shapes) {
				continue
			}
			name := other.Label()
			if other.In != p.Package {
				name = other.In.Path + "." + name
			}
			p.addf(c.KeyArg.Pos, diag.Overlap, "key %s can equal key %s of %s", c.Pattern.Text, other.Pattern.Text, name).
				Relatedf(p.Position(other.KeyArg.Pos), "%s", other.Pattern.Text).
				Hintf("begin one of them with another word, or give one of the functions another namespace")
			break
		}
		p.keys[space] = append(p.keys[space], c)
	}
}
