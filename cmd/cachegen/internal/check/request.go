package check

import (
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
)

// requestTypes are types whose values are valid only during the request that they belong to, by
// import path, without a version, and name.
var requestTypes = map[string][]string{
	"database/sql":                      {"Tx", "Conn", "Rows", "Row"},
	"net/http":                          {"Request", "ResponseWriter"},
	"context":                           {"Context"},
	"github.com/jmoiron/sqlx":           {"Tx", "Conn", "Rows", "Row"},
	"github.com/jackc/pgx":              {"Tx", "Rows", "Row"},
	"github.com/jackc/pgx/pgxpool":      {"Conn", "Tx"},
	"gorm.io/gorm":                      {"DB"}, // a session
	"github.com/gin-gonic/gin":          {"Context"},
	"github.com/labstack/echo":          {"Context"},
	"github.com/gofiber/fiber":          {"Ctx"},
	"github.com/valyala/fasthttp":       {"RequestCtx"},
	"google.golang.org/grpc":            {"ServerStream"},
	"go.mongodb.org/mongo-driver/mongo": {"SessionContext", "Session"},
}

// requestRule keeps values that are valid only during a request out of loads in the background.
type requestRule struct{ *pass }

func (p requestRule) check() {
	for _, c := range p.Caches {
		p.requestScoped(c)
	}
}

// requestScoped reports parameters that are valid only during their request, in a function that may
// be loaded in the background. Only the directive can rule that out: a store may give a grace period
// to all of its caches.
func (p requestRule) requestScoped(c *facts.Cache) {
	for _, v := range c.Params {
		if !endsWithRequest(v.Elem()) {
			continue
		}
		c.Foreground = true
		if !mayLoadLater(c) {
			continue
		}
		d := p.addf(v.TypeExpr.Pos(), diag.Request, "%s is only valid during its request, and %s can be loaded in the background", p.TypeName(v.Elem()), c.Name())
		if refreshed(c) {
			d.Hintf("take something that outlives the request, or remove refresh and write grace=0")
		} else {
			d.Hintf("take something that outlives the request, or write grace=0, so that it is never loaded in the background")
		}
	}
}

// mayLoadLater reports whether the directive leaves it open that c is loaded in the background.
func mayLoadLater(c *facts.Cache) bool {
	return refreshed(c) || c.Options.Grace == nil || *c.Options.Grace != 0
}

func refreshed(c *facts.Cache) bool { return c.Options.Refresh != nil && !c.Options.Refresh.Zero() }

// endsWithRequest reports whether t is one of the types above, or a transaction of
// whatever package.
func endsWithRequest(t types.Type) bool {
	n := gotype.Named(t)
	if n == nil || n.Obj().Pkg() == nil {
		return false
	}
	path := versionless(n.Obj().Pkg().Path())
	if slices.Contains(requestTypes[path], n.Obj().Name()) {
		return true
	}
	methods := types.NewMethodSet(t)
	return methods.Lookup(nil, "Commit") != nil && methods.Lookup(nil, "Rollback") != nil
}

// versionless is an import path without the elements that say a major version.
func versionless(path string) string {
	elements := slices.DeleteFunc(strings.Split(path, "/"), func(e string) bool {
		number, ok := strings.CutPrefix(e, "v")
		return ok && number != "" && strings.Trim(number, "0123456789") == ""
	})
	return strings.Join(elements, "/")
}
