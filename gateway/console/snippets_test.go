//go:build unix

package console

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// snippetPrograms are the languages of the code tab whose programs a test can
// run as they are: the file's name and what runs it. (JavaScript is for a
// browser; the tests of the examples run such a page.)
var snippetPrograms = map[string]struct {
	file    string
	command []string
	resumes bool
}{
	"curl":   {"subscribe.sh", []string{"sh"}, false},
	"go":     {"main.go", []string{"go", "run"}, true},
	"python": {"subscribe.py", []string{"python3"}, true},
}

// TestSnippetsRun copies each program from the page, runs it, and sees it print
// what was published, and, where it says that it resumes, what was published
// while it was away.
func TestSnippetsRun(t *testing.T) {
	for key, program := range snippetPrograms {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			url, gateway := serve(t, Options{})
			path := filepath.Join(t.TempDir(), program.file)
			if err := os.WriteFile(path, snippet(t, key, url+"/events?channel=a&channel=%7Bb%7D"), 0o600); err != nil {
				t.Fatal(err)
			}
			out := runSnippet(t, append(program.command, path))
			waitFor(t, out, "it has subscribed", func() bool { return len(gateway.subscriptions()) == 1 })
			one := gateway.add("a", "", "first\nsecond")
			two := gateway.add("{b}", "ping", `{"n":1}`)
			for _, want := range []string{one, "first", "second", two, "ping", `{"n":1}`} {
				waitFor(t, out, "it prints "+want, func() bool { return strings.Contains(out.String(), want) })
			}
			if !program.resumes {
				return
			}
			gateway.endStreams()
			gateway.add("a", "", "while it was away")
			waitFor(t, out, "it has what it missed", func() bool { return strings.Contains(out.String(), "while it was away") })
			if n := strings.Count(out.String(), `{"n":1}`); n != 1 {
				t.Errorf("an event came %d times:\n%s", n, out)
			}
		})
	}
}

// snippet is the page's program for an address.
func snippet(t *testing.T, key, url string) []byte {
	t.Helper()
	script := fmt.Sprintf(`import { LANGUAGES } from "./assets/snippets.mjs";
		process.stdout.write(LANGUAGES.find(({ key }) => key === %q).make(%q))`, key, url)
	text, err := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", script).Output()
	if err != nil {
		t.Fatal("this test needs node: ", err)
	}
	return text
}

// printed is what a program has written so far.
type printed struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// waitFor waits longer than a tab does: `go run` compiles first, and a program
// waits for two seconds before it comes back.
func waitFor(t *testing.T, out *printed, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(6 * patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s\nit printed: %s", what, out)
		}
	}
}

// runSnippet starts a program and returns what it prints. It is ended with the
// test, and with it what it started itself: `go run` does not pass an end on.
func runSnippet(t *testing.T, command []string) *printed {
	t.Helper()
	out := &printed{}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return out
}
