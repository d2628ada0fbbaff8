package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// asTool, in the environment, makes the test binary the tool itself.
const asTool = "SSE_BENCH_AS_TOOL"

// Every subcommand has an example in README.md, and each is run by a shell as it stands
// there, but for the addresses, the number of streams and the time.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	r := redistest.Start(t)
	f, cold := startFake(t, r), startFake(t, r)
	other := startFake(t, r, func(f *fakeServer) { f.plain = true })
	addresses := strings.NewReplacer("http://127.0.0.1:8080", f.URL, "http://127.0.0.1:8081", cold.URL,
		"http://127.0.0.1:8090", other.URL, "$(pidof sse-gateway)", fmt.Sprint(os.Getpid()))
	less := map[string]string{
		"run": "--rate=100 --duration=300ms", "broadcast": "--rate=20 --duration=300ms", "many": "--rate=100 --duration=300ms",
		"idle": "--duration=100ms --after=100ms", "storm": "--missed=10", "hot": "--rate=100 --duration=300ms",
		"connect": "", "steps": "", "preflight": "",
	}
	shown := map[string]bool{}
	for _, example := range regexp.MustCompile(`(?m)^(?:.* \| )?bin/sse-bench (\w+).*$`).FindAllSubmatch(text, -1) {
		command, name := string(example[0]), string(example[1])
		shown[name] = true
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			smaller, known := less[name]
			if !known {
				t.Fatal("there is no such subcommand")
			}
			if name != "preflight" {
				smaller += " --subscribers=10 --redis=" + r.URL()
				if !strings.Contains(command, "--url=") && !strings.Contains(command, "--gateway=") {
					smaller += " --gateway=" + f.URL
				}
			}
			line := addresses.Replace(strings.ReplaceAll(command, "return 100", "return 5")) + " " + smaller
			out, err := shell(t, line)
			if err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			if !strings.Contains(out, map[bool]string{true: "this machine allows", false: "Held: 10 streams"}[name == "preflight"]) {
				t.Errorf("%s:\n%s", line, out)
			}
		})
	}
	for name := range less {
		if !shown[name] {
			t.Errorf("README.md has no example of %s", name)
		}
	}
}

// shell runs a command line in a directory whose bin/sse-bench is this tool.
func shell(t *testing.T, line string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "bin"), 0o700)
	}
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "bin", "sse-bench"))
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), asTool+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The help of every subcommand fits 100 columns and is in groups.
func TestHelpOfEverySubcommand(t *testing.T) {
	groups := []string{"The server", "The load", "What is published", "Times", "The result"}
	for _, name := range []string{"run", "broadcast", "many", "idle", "connect", "storm", "hot", "steps", "preflight"} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), []string{name, "--help"}, nil, &out, &errOut); code != exitOK || errOut.Len() > 0 {
			t.Errorf("%s: exit %d, stderr %q", name, code, &errOut)
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		at := func(group string) int { return strings.Index(out.String(), "\n"+group+"\n") }
		if name == "preflight" {
			continue // three flags need no groups
		}
		if !slices.IsSortedFunc(groups, func(a, b string) int { return at(a) - at(b) }) || at(groups[0]) < 0 {
			t.Errorf("%s: the groups are not in order:\n%s", name, &out)
		}
	}
}
