package check

import (
	"go/types"
	"slices"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/gotype"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/naming"
)

// transactionRule looks at writers that change data in a transaction. What they change in caches has
// to wait for the commit: whoever loads between the two caches the old row.
type transactionRule struct{ *pass }

func (p transactionRule) check() {
	for _, c := range p.Caches {
		if tx := transactionOf(c.Function); tx != nil && !(endsWithRequest(tx.Elem()) && mayLoadLater(c)) {
			p.readsInTransaction(c, tx)
		}
	}
	for _, w := range p.Writers {
		if w.Declared != nil {
			continue // looked at where it is declared
		}
		collect := p.collects(w)
		if tx := transactionOf(w.Function); tx != nil {
			p.takesTransaction(w, tx, collect)
			continue
		}
		if w.Recv != nil && w.Recv.InTx != "" && w.NoContext && !collect {
			m := w.Recv.TxMethods[0]
			p.warnf(w.Pos(), allows(w), diag.Transaction, "%s takes no context that could hold what it changes until the commit, so it fails in the wrapper that %s returns", w.Name(), m.Name()).
				Relatedf(p.Position(m.Pos()), "%s", m.Name()).
				Hintf("take a context first, or write allow=%s if it is not called there", diag.Transaction)
		}
	}
}

// readsInTransaction warns of a reader with a transaction: what that alone sees would be cached for
// others, who would get it although it was rolled back.
func (p transactionRule) readsInTransaction(c *facts.Cache, tx *facts.Param) {
	p.warnf(tx.TypeExpr.Pos(), c.Levels(), diag.Transaction, "%s takes a transaction, and caches what that alone may see if its context does not collect", c.Name()).
		Hintf("inside a transaction, call it with a context of runtime.Collect or of package runtime/transaction, and write allow=%s", diag.Transaction)
}

// collects finds the flag collect in the directives of w, which are for one call.
func (p transactionRule) collects(w *facts.Writer) bool {
	for _, d := range w.Directives {
		if arg, ok := d.Flag("collect"); ok {
			w.Collect = true
			if w.NoContext {
				p.addf(arg.Pos, diag.Option, "%s takes no context that could hold what it changes until a commit", w.Name()).
					Hintf("take a context first, or remove collect")
			}
		}
	}
	return w.Collect
}

// takesTransaction warns of a writer with a transaction, unless it says that it collects.
func (p transactionRule) takesTransaction(w *facts.Writer, tx *facts.Param, collect bool) {
	switch at := tx.TypeExpr.Pos(); {
	case collect:
	case w.NoContext:
		p.warnf(at, allows(w), diag.Transaction, "%s takes a transaction and no context, so caches are changed before the commit", w.Name()).
			Hintf("take a context first, so that runtime.Collect or package runtime/transaction can hold the change until then, or write allow=%s", diag.Transaction)
	default:
		p.warnf(at, allows(w), diag.Transaction, "%s takes a transaction, and changes caches before the commit if its context does not collect", w.Name()).
			Hintf("call it with a context of runtime.Collect or of package runtime/transaction, and write collect, so that it fails with any other").
			Hintf("or write allow=%s", diag.Transaction)
	}
}

// allows are the directives that may allow a warning about w.
func allows(w *facts.Writer) []*directive.Directive {
	if w.Recv != nil && w.Recv.Directive != nil {
		return append(slices.Clone(w.Directives), w.Recv.Directive)
	}
	return w.Directives
}

// transactionOf returns the first parameter of f that is a database transaction, or nil.
func transactionOf(f *facts.Function) *facts.Param {
	for _, v := range f.Params {
		if isTransaction(v.Elem()) || saysTx(v.Name()) && executes(v.Elem()) {
			return v
		}
	}
	return nil
}

// isTransaction reports whether t is the type of a database transaction and of nothing else: it can be
// committed and rolled back. A DB of GORM has these methods, too, and may be the database itself.
func isTransaction(t types.Type) bool {
	if n := gotype.Named(t); n != nil && n.Obj().Name() == "DB" {
		return false
	}
	return hasMethods(t, "Commit", "Rollback")
}

// executes reports whether t executes statements, in a transaction or outside of one: what sqlc calls
// DBTX, an IDB of Bun, a DB of GORM.
func executes(t types.Type) bool { return hasMethods(t, "Exec") || hasMethods(t, "ExecContext") }

func hasMethods(t types.Type, names ...string) bool {
	if gotype.Named(t) == nil {
		return false
	}
	methods := types.NewMethodSet(t)
	return !slices.ContainsFunc(names, func(name string) bool { return methods.Lookup(nil, name) == nil })
}

// saysTx reports whether one of a name's words means a transaction: tx, trxHandle, WithTx.
func saysTx(name string) bool {
	return name != "" && slices.ContainsFunc(naming.Words(name), func(word string) bool {
		return slices.Contains([]string{"tx", "txn", "trx", "transaction"}, strings.ToLower(word))
	})
}
