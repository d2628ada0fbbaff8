package deploy_test

import (
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

// What a document here leads to is there: files, and headings in them.
func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, path := range files(t, ".md") {
		for _, m := range markdownLink.FindAllStringSubmatch(read(t, path), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
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
	if checked == 0 {
		t.Error("no link found: the test looks in the wrong place")
	}
}
