package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// eachSource parses the Go files of the repository that are no tests, and calls f
// with the folder of each, relative to the repository's root.
func eachSource(t *testing.T, mode parser.Mode, f func(dir string, file *ast.File)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, mode|parser.SkipObjectResolution)
		if err == nil {
			f(strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../"), file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// namesOf returns what a declaration declares: functions and types by their name,
// methods as Type.name.
func namesOf(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		receiver := d.Recv.List[0].Type
		if star, ok := receiver.(*ast.StarExpr); ok {
			receiver = star.X
		}
		if generic, ok := receiver.(*ast.IndexExpr); ok {
			receiver = generic.X
		}
		if id, ok := receiver.(*ast.Ident); ok {
			return []string{id.Name + "." + d.Name.Name}
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok {
				names = append(names, s.Name.Name)
			}
		}
	}
	return names
}

// ARCHITECTURE.md names functions and types that there are.
func TestArchitectureNamesTheCode(t *testing.T) {
	declared := map[string]bool{"pkg.Func": true, "pkg.Type": true, "pkg.Type.method": true}
	eachSource(t, 0, func(_ string, file *ast.File) {
		for _, d := range file.Decls {
			for _, name := range namesOf(d) {
				declared[file.Name.Name+"."+name] = true
			}
		}
	})
	found := regexp.MustCompile("`([a-z]\\w*\\.\\w+(?:\\.\\w+)?)`").FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1)
	for _, m := range found {
		if !declared[m[1]] {
			t.Errorf("ARCHITECTURE.md names %s, which nothing declares", m[1])
		}
	}
	if len(found) < 40 {
		t.Errorf("only %d names: the test looks in the wrong place", len(found))
	}
}

// Each package says in one place what it is.
func TestPackagesAreDescribed(t *testing.T) {
	described := map[string]bool{}
	eachSource(t, parser.PackageClauseOnly|parser.ParseComments, func(dir string, file *ast.File) {
		described[dir] = described[dir] || file.Doc != nil
	})
	for dir, ok := range described {
		if !ok {
			t.Errorf("no file of %s says what the package is", dir)
		}
	}
}

// A package imports only those that stand below it in the table of ARCHITECTURE.md.
func TestPackagesImportThoseBelow(t *testing.T) {
	const module = "github.com/sse-gateway/sse-gateway/"
	row := map[string]int{}
	for i, m := range regexp.MustCompile(`(?m)^\| \[([\w/-]+)\]\(`).FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1) {
		row[m[1]] = i + 1
	}
	if len(row) < 10 {
		t.Fatalf("only %d packages: the test looks in the wrong place", len(row))
	}
	eachSource(t, parser.ImportsOnly, func(dir string, file *ast.File) {
		for _, spec := range file.Imports {
			imported := row[strings.TrimPrefix(strings.Trim(spec.Path.Value, `"`), module)]
			if row[dir] > 0 && imported > 0 && imported < row[dir] {
				t.Errorf("%s imports %s, which stands above it", dir, spec.Path.Value)
			}
		}
	})
}
