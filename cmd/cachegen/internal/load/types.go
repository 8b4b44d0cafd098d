package load

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/token"
	"go/types"
	"os"
	goruntime "runtime"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/go/gcexportdata"
	"golang.org/x/tools/go/packages"
)

// A typeLoader makes the types of packages: of some, and of what compiles no longer or depends
// on those, from their sources; of all others from what the compiler has exported.
type typeLoader struct {
	ctx   context.Context
	fset  *token.FileSet
	parse func(fset *token.FileSet, name string, src []byte) (*ast.File, error)
	sizes types.Sizes
	limit chan struct{} // of packages that are worked on

	sources  map[*packages.Package]*typed // from source
	reading  sync.Mutex                   // guards exported and the packages in it that are not complete
	exported map[string]*types.Package
}

// A typed is a package and what its sources say.
type typed struct {
	*packages.Package
	done chan struct{} // closed when the rest is there
}

// typeCheck makes the types of roots from their sources, and returns them in that order.
func typeCheck(ctx context.Context, fset *token.FileSet, parse func(*token.FileSet, string, []byte) (*ast.File, error), roots []*packages.Package) ([]*packages.Package, error) {
	t := &typeLoader{
		ctx: ctx, fset: fset, parse: parse, sizes: types.SizesFor("gc", build.Default.GOARCH),
		limit:   make(chan struct{}, goruntime.GOMAXPROCS(0)),
		sources: map[*packages.Package]*typed{}, exported: map[string]*types.Package{},
	}
	isRoot := map[*packages.Package]bool{}
	for _, p := range roots {
		isRoot[p] = true
	}
	seen := map[*packages.Package]bool{}
	for _, p := range roots {
		t.choose(p, isRoot, seen)
	}
	var all errgroup.Group
	for _, p := range t.sources {
		all.Go(func() error { return t.check(p) })
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	var checked []*packages.Package
	for _, p := range roots {
		if s := t.sources[p]; s != nil {
			checked = append(checked, s.Package)
		}
	}
	return checked, nil
}

// choose reports whether the types of p have to come from its sources: if it is a root, if
// it does not compile, and if it imports such a package, whose types there are but once.
func (t *typeLoader) choose(p *packages.Package, isRoot, seen map[*packages.Package]bool) bool {
	if seen[p] {
		return t.sources[p] != nil
	}
	seen[p] = true
	if p.PkgPath == "unsafe" {
		return false
	}
	source := isRoot[p] || p.ExportFile == ""
	for _, imported := range p.Imports {
		if t.choose(imported, isRoot, seen) {
			source = true
		}
	}
	if source {
		own := *p
		t.sources[p] = &typed{&own, make(chan struct{})}
	}
	return source
}

// check parses p and, once what it imports is there, makes its types.
func (t *typeLoader) check(p *typed) error {
	defer close(p.done)
	p.Fset = t.fset
	p.Types = types.NewPackage(p.PkgPath, p.Name)
	var parsed sync.WaitGroup
	files := make([]*ast.File, len(p.CompiledGoFiles))
	for i, name := range p.CompiledGoFiles {
		parsed.Go(func() {
			t.limit <- struct{}{}
			defer func() { <-t.limit }()
			if src, err := os.ReadFile(name); err == nil {
				files[i], _ = t.parse(t.fset, name, src) // the hook keeps the errors that matter
			}
		})
	}
	parsed.Wait()
	for _, f := range files {
		if f != nil {
			p.Syntax = append(p.Syntax, f)
		}
	}
	for _, imported := range p.Imports {
		if s := t.sources[imported]; s != nil {
			<-s.done
		}
	}
	if err := t.ctx.Err(); err != nil {
		return err
	}
	t.limit <- struct{}{}
	defer func() { <-t.limit }()
	p.TypesInfo = newInfo()
	config := types.Config{
		Sizes: t.sizes, IgnoreFuncBodies: true,
		Importer: importer(func(path string) (*types.Package, error) { return t.imported(p.Package, path) }),
		Error: func(err error) {
			if e, ok := errors.AsType[types.Error](err); ok {
				p.TypeErrors = append(p.TypeErrors, e)
			}
		},
	}
	if p.Module != nil && p.Module.GoVersion != "" {
		config.GoVersion = "go" + p.Module.GoVersion
	}
	_ = types.NewChecker(&config, t.fset, p.Types, p.TypesInfo).Files(p.Syntax)
	return nil
}

func (t *typeLoader) imported(by *packages.Package, path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	p := by.Imports[path]
	if p == nil {
		return nil, fmt.Errorf("import %s: the go command has not listed it", path)
	}
	if s := t.sources[p]; s != nil {
		return s.Types, nil
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	if known := t.exported[p.PkgPath]; known != nil && known.Complete() {
		return known, nil
	}
	f, err := os.Open(p.ExportFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	//lint:ignore SA1019 the go command exports archives, which Read alone does not take, up to Go 1.27
	r, err := gcexportdata.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.ExportFile, err)
	}
	return gcexportdata.Read(r, t.fset, t.exported, p.PkgPath)
}
