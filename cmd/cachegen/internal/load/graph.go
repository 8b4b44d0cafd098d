package load

import (
	"context"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/directive"
)

// list is one run of the go command: the packages that match with all that they import, and
// the files with the types of what compiles.
func list(ctx context.Context, cfg Config) ([]*packages.Package, error) {
	listed, err := packages.Load(&packages.Config{
		Context: ctx,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedExportFile | packages.NeedModule,
		Dir:        cfg.Dir,
		BuildFlags: buildFlags(cfg),
	}, cfg.Patterns...)
	if err != nil {
		return nil, failed("load packages", err)
	}
	return listed, nil
}

// find returns the candidates that match, and what the go command says of them. Where most
// of the packages have something to do, one run of it says both. Otherwise those that have
// are looked for first: no others have to compile.
func find(ctx context.Context, cfg Config) (*Result, error) {
	if mostAnnotated(cfg) {
		listed, err := list(ctx, cfg)
		if err != nil {
			return nil, err
		}
		// If go list itself fails, this says nothing, but listing without types does.
		if found, err := candidates(listed); err == nil && len(found) > 0 {
			return newResult(found, listed), nil
		}
	}
	found, err := scan(ctx, cfg)
	if err != nil {
		return nil, err
	}
	cfg.Patterns = nil
	for _, c := range found {
		if !c.noFiles {
			cfg.Patterns = append(cfg.Patterns, c.path)
		}
	}
	var listed []*packages.Package
	if len(cfg.Patterns) > 0 {
		if listed, err = list(ctx, cfg); err != nil {
			return nil, err
		}
	}
	return newResult(found, listed), nil
}

func newResult(found []*candidate, listed []*packages.Package) *Result {
	r := &Result{Fset: token.NewFileSet(), Problems: &diag.List{}, candidates: found, listed: map[string]*packages.Package{}}
	for _, p := range listed {
		r.listed[p.PkgPath] = p
	}
	return r
}

// mostAnnotated guesses from the names and texts of files whether most of the packages that
// match have directives or output. A wrong guess costs time, but changes nothing in the result.
func mostAnnotated(cfg Config) bool {
	var all, annotated int
	count := func(dir string) {
		names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		if len(names) > 0 {
			all++
		}
		if slices.ContainsFunc(names, isRelevant) {
			annotated++
		}
	}
	for _, pattern := range cfg.Patterns {
		if pattern != "." && !strings.HasPrefix(pattern, "./") && !strings.HasPrefix(pattern, "../") {
			return false
		}
		dir, below := strings.CutSuffix(pattern, "/...")
		dir = filepath.Join(cfg.Dir, dir)
		if strings.Contains(dir, "...") {
			return false
		}
		if !below {
			count(dir)
			continue
		}
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || !d.IsDir():
				return err
			case name != dir && ignoredDir(name):
				return fs.SkipDir
			}
			count(name)
			return nil
		})
		if err != nil {
			return false
		}
	}
	return annotated > 0 && 2*annotated >= all
}

// ignoredDir reports whether ./... does not match what is in a directory.
func ignoredDir(name string) bool {
	base := filepath.Base(name)
	if base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor" {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

// isRelevant reports whether a file may have directives or be output.
func isRelevant(name string) bool {
	if hasOutputName(name) {
		return true
	}
	src, err := os.ReadFile(name)
	return err == nil && directive.Mentions(src)
}
