package check

import (
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/key"
)

// overlaps reports cached functions of one store and namespace whose keys can be
// equal, each with the first other one that it meets. Without a name the store is the
// first of those that are opened, which can be any.
func overlaps(all []*pack) {
	type place struct {
		namespace string
		segments  int
	}
	earlier := map[place][]*cache{}
	for _, p := range all {
		for _, c := range p.caches {
			if len(c.shapes) != len(c.pattern.Segments) || len(c.shapes) == 0 {
				continue // the key is not known
			}
			at := place{c.namespace, len(c.shapes)}
			for _, other := range earlier[at] {
				apart := c.store != other.store && c.store != "" && other.store != ""
				if apart || !key.Overlap(c.shapes, other.shapes) {
					continue
				}
				name := other.label()
				if other.p != p {
					name = other.p.Path + "." + name
				}
				p.addf(c.keyArg.Pos, diag.Overlap, "key %s can equal key %s of %s", c.pattern.Text, other.pattern.Text, name).
					Relatedf(p.position(other.keyArg.Pos), "%s", other.pattern.Text).
					Hintf("begin one of them with another word, or give one another namespace")
				break
			}
			earlier[at] = append(earlier[at], c)
		}
	}
}
