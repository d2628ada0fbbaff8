package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkedElsewhere is a kind of command that a test cannot run.
type checkedElsewhere struct {
	command string                  // how it begins, after its variables
	test    string                  // tries what it would do
	check   func(*testing.T, shown) // checks its own words; nil: nothing can be
}

// elsewhere lists the commands that need Docker, a cluster, root or half an hour.
var elsewhere = []checkedElsewhere{
	{"docker compose up", "TestComposeConfig", nil},
	{"docker compose exec", "TestComposeConfig", nil},
	{"docker build", "TestDockerfile", pathsExist},
	{"promtool test rules", "TestPrometheusRules", pathsExist},
	{"docker run --rm --read-only", "TestDockerfile", nil},
	{"docker run --rm -p 8080:8080", "TestProxies", setsWhatItReads},
	{"haproxy", "TestProxies", setsWhatItReads},
	{"caddy", "TestProxies", setsWhatItReads},
	{"apache2", "TestProxies", setsWhatItReads},
	{"envsubst", "TestProxies", setsWhatItReads},
	{"varnishd", "TestProxies", nil},
	{"redis-server", "TestRedisUsers", pathsExist},
	{"kubectl apply -k deploy/kubernetes/try", "TestTry", pathsExist},
	{"kubectl apply -k deploy/kubernetes/production", "TestProduction", pathsExist},
	{"kubectl -n sse port-forward", "TestTry", nil},
	{"kubectl create secret", "TestProduction", nil},
	{"systemctl", "TestSystemdReadsTheUnit", nil},
	{"apt install", "TestProxies", installed},
	{"ulimit", "TestChaosMillion", nil},
	{"deploy/bench/", "TestScriptsAllowNoGaps", scriptTakes},
	{"bin/sse-bench", "TestReadmeExamples", nil},
	{"printf 'connect", "TestReadmeExamples", nil},
	{"go run", "TestDev", pathsExist},
	{"go test", "TestCommandsInPages", namesTests},
}

// matches reports whether a command is the one of the list.
func (c shown) matches(e checkedElsewhere) bool {
	return strings.HasPrefix(c.text[len(leadingVariables.FindString(c.text)):], e.command)
}

func TestCommandsAreCheckedElsewhere(t *testing.T) {
	defined := definedTests(t)
	for _, e := range elsewhere {
		if !defined[e.test] {
			t.Errorf("%s: there is no %s", e.command, e.test)
		}
	}
}

var pathWord = regexp.MustCompile(`(?:^|[\s.=])(?:\./|\$PWD/|/)?((?:deploy|cmd|gateway|store|metrics)(?:/[\w./-]*\w)?)\b`)

// pathsExist checks that a command names files of the repository that are there.
func pathsExist(t *testing.T, c shown) {
	found := pathWord.FindAllStringSubmatch(c.text, -1)
	for _, m := range found {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("%s: %s\n%v", c.page, c.text, err)
		}
	}
	if len(found) == 0 {
		t.Errorf("%s: %s\nnames no file", c.page, c.text)
	}
}

// setsWhatItReads checks that the command sets each variable that the proxy's
// configuration, which it names, reads.
func setsWhatItReads(t *testing.T, c shown) {
	pathsExist(t, c)
	path := pathWord.FindStringSubmatch(c.text[strings.LastIndex(c.text, "deploy/"):])[1]
	if m := regexp.MustCompile(`deploy/nginx/[\w.]+`).FindString(c.text); m != "" {
		path = m
	}
	comment := regexp.MustCompile(`(?m)^\s*#.*$`)
	for _, name := range sseVariable.FindAllString(comment.ReplaceAllString(read(t, filepath.Join("..", path)), ""), -1) {
		if slices.Contains(balancerVariables(), name) && !strings.Contains(c.text, name+"=") {
			t.Errorf("%s: %s\ndoes not set %s, which %s reads", c.page, c.text, name, path)
		}
	}
}

// installed checks that CI installs the same packages.
func installed(t *testing.T, c shown) {
	words, _, _ := strings.Cut(c.text, "#")
	for _, name := range strings.Fields(words)[2:] {
		if !strings.Contains(read(t, "../.ci/deps"), name) {
			t.Errorf("%s: .ci/deps does not install %s", c.page, name)
		}
	}
}

// scriptTakes checks that a script is there and knows the flags.
func scriptTakes(t *testing.T, c shown) {
	pathsExist(t, c)
	words, _, _ := strings.Cut(c.text, "#")
	for _, word := range strings.Fields(words) {
		if strings.HasPrefix(word, "-") && !regexp.MustCompile(`(?m)^\s*-?`+word+`\b`).MatchString(read(t, filepath.Join("..", c.program()))) {
			t.Errorf("%s: %s has no %s", c.page, c.program(), word)
		}
	}
}

// namesTests checks that there are packages and, in them, tests of these names.
func namesTests(t *testing.T, c shown) {
	pathsExist(t, c)
	var source strings.Builder
	for _, m := range pathWord.FindAllStringSubmatch(c.text, -1) {
		err := filepath.WalkDir(filepath.Join("..", m[1]), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") {
				source.WriteString(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range regexp.MustCompile(`-(?:run|bench) '?([\w|]+)'?`).FindAllStringSubmatch(c.text, -1) {
		for _, name := range strings.Split(m[1], "|") {
			if !regexp.MustCompile(`(?m)^func (?:Test|Benchmark)?\w*` + name).MatchString(source.String()) {
				t.Errorf("%s: no test or benchmark matches %s", c.page, name)
			}
		}
	}
}
