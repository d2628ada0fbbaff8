package console

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestBundle(t *testing.T) {
	files := map[string]string{
		"main.mjs": "import { f } from \"./a.mjs\";\nimport {\n  g,\n} from \"./b.mjs\";\nf(g);\n",
		"a.mjs":    "import { g } from \"./b.mjs\";\nconst x = 1;\nexport function f() {}\nexport class C {}\n",
		"b.mjs":    "const x = 2;\nexport const g = x;\nexport async function h() {}\n",
	}
	got, err := bundle(from(files), "main.mjs")
	if err != nil {
		t.Fatal(err)
	}
	want := `const module_b = (() => {
const x = 2;
const g = x;
async function h() {}
return { g, h };
})();
const module_a = (() => {
const { g } = module_b;
const x = 1;
function f() {}
class C {}
return { f, C };
})();
const module_main = (() => {
const { f } = module_a;
const {
  g,
} = module_b;
f(g);
return {  };
})();
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestBundleRefuses(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"file does not exist": {"main.mjs": "import { f } from \"./a.mjs\";\n"},
		"imports itself":      {"main.mjs": "import { f } from \"./a.mjs\";\n", "a.mjs": "import { g } from \"./main.mjs\";\n"},
		"unknown form":        {"main.mjs": "import f from \"./a.mjs\";\n"},
		`"export default`:     {"main.mjs": "export default 1;\n"},
		`"export let`:         {"main.mjs": "export let x = 1;\n"},
		`"import \"`:          {"main.mjs": "import \"./a.mjs\";\n"},
	} {
		if _, err := bundle(from(files), "main.mjs"); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), strings.ReplaceAll(want, `\"`, `"`)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// TestEveryModuleIsUsed finds a module that the page no longer imports.
func TestEveryModuleIsUsed(t *testing.T) {
	script, err := bundle(readAsset, "main.mjs")
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(assets, "assets/*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name = strings.TrimPrefix(name, "assets/"); !strings.Contains(script, "const "+variable(name)+" = (") {
			t.Errorf("%s is not part of the page", name)
		}
	}
}

func TestInlineable(t *testing.T) {
	for _, c := range []struct{ style, script string }{
		{"a{}</STYLE>", ""}, {"", "'</Script>'"}, {"", "<!-- x"}, {"", "'<script>'"},
	} {
		if inlineable(c.style, c.script) == nil {
			t.Errorf("%+v is let into the page", c)
		}
	}
}

func TestEventsURL(t *testing.T) {
	for _, bad := range []string{"ftp://x/events", "//x/events", "http://a;script-src *", "http://a b/", "https:///x", "%zz"} {
		if policy, err := contentPolicy(bad, "", ""); err == nil {
			t.Errorf("%q is taken: %s", bad, policy)
		}
	}
}

func from(files map[string]string) func(string) (string, error) {
	return func(name string) (string, error) {
		text, ok := files[name]
		if !ok {
			return "", errors.Join(fs.ErrNotExist)
		}
		return text, nil
	}
}
