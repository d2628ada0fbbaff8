package console

import (
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// references are the files that the document and the modules name.
var references = regexp.MustCompile(`(?:from "\./|(?:src|href)="/console/)([a-z]+\.(?:mjs|css))"`)

// TestFilesAreServedAsTheyAre follows the document to all files that it needs: each
// is there, as it stands in the repository, with the type that browsers insist on and
// a tag to ask for it again by. And there is no other.
func TestFilesAreServedAsTheyAre(t *testing.T) {
	h := Handler(Options{})
	names := []string{}
	for queue := []string{body(t, ask(h, "GET", "/", ""))}; len(queue) > 0; queue = queue[1:] {
		for _, m := range references.FindAllStringSubmatch(queue[0], -1) {
			if name := m[1]; !slices.Contains(names, name) {
				names = append(names, name)
				queue = append(queue, requireFile(t, h, name))
			}
		}
	}
	embedded, err := fs.Glob(assets, "assets/*.*s")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range embedded {
		if !slices.Contains(names, path.Base(name)) {
			t.Errorf("%s is not part of the page", name)
		}
	}
}

// requireFile checks how a file is served and returns its text.
func requireFile(t *testing.T, h http.Handler, name string) string {
	t.Helper()
	want, err := assets.ReadFile("assets/" + name)
	if err != nil {
		t.Fatal(err)
	}
	res := ask(h, "GET", "/console/"+name, "")
	text := body(t, res)
	if res.StatusCode != http.StatusOK || text != string(want) {
		t.Errorf("%s: %s, %d bytes, want %d", name, res.Status, len(text), len(want))
	}
	contentType := map[string]string{".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}[path.Ext(name)]
	if got := res.Header; got.Get("Content-Type") != contentType || got.Get("X-Content-Type-Options") != "nosniff" || got.Get("Cache-Control") != "no-cache" {
		t.Errorf("%s: the header is %v", name, got)
	}
	tag := res.Header.Get("ETag")
	if res := ask(h, "GET", "/console/"+name, "", "If-None-Match", tag); tag == "" || res.StatusCode != http.StatusNotModified {
		t.Errorf("%s: asked for again with %q: %s", name, tag, res.Status)
	}
	if res := ask(h, "POST", "/console/"+name, ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%s: POST: %s", name, res.Status)
	}
	return text
}

// TestNothingIsInline holds the document and the modules to what the policy allows: no
// script, style or handler in the document, and no address of another server.
func TestNothingIsInline(t *testing.T) {
	document := body(t, ask(Handler(Options{}), "GET", "/", ""))
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?: type="module")?>|(?:src|href)="(?:https?:)?//`)
	if found := inline.FindString(document); found != "" {
		t.Errorf("the document has %q", found)
	}
	names, err := fs.Glob(assets, "assets/*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := assets.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"innerHTML", "eval(", "insertAdjacentHTML", "import("} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
	}
}

func TestEventsURL(t *testing.T) {
	for _, bad := range []string{"ftp://x/events", "//x/events", "http://a;script-src *", "http://a b/", "https:///x", "%zz"} {
		if policy, err := contentPolicy(bad); err == nil {
			t.Errorf("%q is taken: %s", bad, policy)
		}
	}
}
