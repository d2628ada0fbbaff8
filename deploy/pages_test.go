package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// anchors returns the anchors of a Markdown file's headings, as GitHub makes
// them: lower case, without punctuation, with - for each space, and numbered
// when a heading occurs again.
func anchors(t *testing.T, path string) []string {
	t.Helper()
	var found []string
	seen := map[string]int{}
	text := regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(read(t, path), "")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		a := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		a = strings.ReplaceAll(a, " ", "-")
		if seen[a]++; seen[a] > 1 {
			a += "-" + strconv.Itoa(seen[a]-1)
		}
		found = append(found, a)
	}
	return found
}

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// pages lists the project's documents.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../README.md", "../gateway/PROTOCOL.md", "../deploy/OPERATIONS.md"} {
		if !slices.Contains(found, path) {
			t.Fatalf("%s is not among %v: the test looks in the wrong place", path, found)
		}
	}
	return found
}

// What a document leads to is there: files, and headings in them.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, path := range pages(t) {
		for _, m := range markdownLink.FindAllStringSubmatch(read(t, path), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(t, file), anchor) {
				t.Errorf("%s: %s has no heading #%s", path, file, anchor)
			}
		}
	}
}

// Every page is linked, by its own name or, a README, by its folder's.
func TestEveryPageIsLinked(t *testing.T) {
	linked := map[string]bool{}
	for _, path := range pages(t) {
		for _, m := range markdownLink.FindAllStringSubmatch(read(t, path), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			target = filepath.Join(filepath.Dir(path), target)
			linked[target] = true
			linked[filepath.Join(target, "README.md")] = true
		}
	}
	for _, path := range pages(t) {
		if !linked[path] && path != filepath.Join("..", "README.md") {
			t.Errorf("no page leads to %s", path)
		}
	}
}

// A row with a cell more than its table's head loses that cell where it is shown.
func TestTablesHaveAsManyCellsAsTheirHead(t *testing.T) {
	code := regexp.MustCompile("`[^`]*`")
	cells := func(line string) int { return strings.Count(code.ReplaceAllString(line, ""), "|") }
	rows := 0
	for _, path := range pages(t) {
		head := 0
		for line := range strings.Lines(read(t, path)) {
			switch {
			case !strings.HasPrefix(line, "|"):
				head = 0
			case head == 0:
				head = cells(line)
			case cells(strings.ReplaceAll(line, `\|`, "")) != head:
				t.Errorf("%s: %d cells, the head has %d: %s", path, cells(line)-1, head-1, line)
			default:
				rows++
			}
		}
	}
	if rows < 200 {
		t.Errorf("only %d rows: the test looks in the wrong place", rows)
	}
}

// definedTests returns the names of all tests, fuzz tests and benchmarks.
func definedTests(t *testing.T) map[string]bool {
	t.Helper()
	defined := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`).FindAllStringSubmatch(read(t, path), -1) {
			defined[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return defined
}

// What a page calls a proof is a test that there is.
func TestPagesNameTestsThatExist(t *testing.T) {
	defined := definedTests(t)
	named := 0
	for _, path := range pages(t) {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`").FindAllStringSubmatch(read(t, path), -1) {
			named++
			if !defined[m[1]] {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d names: the test looks in the wrong place", named)
	}
}

// A series that a page speaks of is one that is exported.
func TestPagesNameSeriesThatExist(t *testing.T) {
	exported := exportedSeries(t)
	for _, path := range pages(t) {
		for _, name := range regexp.MustCompile(`\bsse_gateway_[a-z0-9_]+`).FindAllString(read(t, path), -1) {
			if _, ok := exported[name]; !ok {
				t.Errorf("%s speaks of %s, which nothing exports", path, name)
			}
		}
	}
}
