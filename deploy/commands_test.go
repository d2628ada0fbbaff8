package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// shown is a command that a page shows.
type shown struct {
	page string
	text string // as in the page, its continued lines included
}

var (
	fence = regexp.MustCompile("(?ms)^( *)```([a-z]*)\n(.*?)^ *```")
	// leadingVariables precede a command: NAME=value NAME='value'.
	leadingVariables = regexp.MustCompile(`^(?:[A-Z_0-9]+=(?:'[^']*'|[^\s'])*\s+(?:\\\n\s*)?)*`)
)

// program returns the command's first word after its variables.
func (c shown) program() string {
	words := strings.Fields(c.text[len(leadingVariables.FindString(c.text)):])
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// commands returns what the pages have in blocks marked sh, a command at a time.
// In a block that is not marked, only lines of a known program are commands.
func commands(t *testing.T) []shown {
	t.Helper()
	var all []shown
	for _, page := range pages(t) {
		for _, block := range fence.FindAllStringSubmatch(read(t, page), -1) {
			if block[2] != "" && block[2] != "sh" {
				continue
			}
			text := strings.ReplaceAll("\n"+block[3], "\n"+block[1], "\n")
			for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", "\x00"), "\n") {
				c := shown{page, strings.TrimSpace(strings.ReplaceAll(line, "\x00", "\\\n"))}
				if c.program() == "" || strings.HasPrefix(c.text, "#") {
					continue
				}
				if block[2] == "sh" || runnable[c.program()] != nil || slices.ContainsFunc(elsewhere, c.matches) {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// runnable are the programs whose commands are run as they are shown.
var runnable = map[string]func(*testing.T, *shell, shown){
	"redis-cli":                          runRedisCLI,
	"curl":                               runCurl,
	"sse-gateway":                        runToItsEnd,
	"bin/sse-gateway":                    runGateway,
	"make":                               runMake,
	"printf":                             runToItsEnd,
	"promtool":                           runToItsEnd,
	"install":                            runInstall,
	"export":                             runToItsEnd,
	"deploy/examples/publish/publish.py": runToItsEnd,
}

// Every command that a page shows works: it is run against a gateway in mode dev
// and a real Redis, or is in the list of those that are checked in another way.
func TestCommandsInPages(t *testing.T) {
	t.Parallel()
	sh := startShell(t)
	byPage, listed, ran := map[string][]shown{}, map[string]bool{}, 0
	for _, c := range commands(t) {
		i := slices.IndexFunc(elsewhere, c.matches)
		switch {
		case i >= 0:
			listed[elsewhere[i].command] = true
			if f := elsewhere[i].check; f != nil {
				f(t, c)
			}
		case runnable[c.program()] == nil:
			t.Errorf("%s: nothing checks the command\n%s", c.page, c.text)
		default:
			ran++
			byPage[c.page] = append(byPage[c.page], c)
		}
	}
	for _, e := range elsewhere {
		if !listed[e.command] {
			t.Errorf("no page shows %q: take it out of the list", e.command)
		}
	}
	if ran < 20 {
		t.Errorf("only %d commands were run: the test looks in the wrong place", ran)
	}
	for page, cs := range byPage {
		t.Run(strings.ReplaceAll(strings.TrimPrefix(page, "../"), "/", "."), func(t *testing.T) {
			t.Parallel()
			for _, c := range cs { // in the page's order: one may need what another published
				runnable[c.program()](t, sh, c)
			}
		})
	}
}

// shell is where the commands run: the root of the repository, with the
// addresses of what the test started in place of the usual ones.
type shell struct {
	env       []string
	addresses *strings.Replacer
	dir       string // where `install` installs
}

// startShell starts Redis and `sse-gateway dev`.
func startShell(t *testing.T) *shell {
	t.Helper()
	server := redistest.Start(t, redistest.WithUser("gateway on >password ~* +@all"))
	gateway := gatewayProgram(t)
	env := append(os.Environ(), "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_LOG_FORMAT=json")
	p := startExactly(t, append(env, "SSE_REDIS_URL=redis://"+server.Addr()), gateway, "dev")
	var public, admin string
	redistest.Eventually(t, patience, "sse-gateway dev serves", func() bool {
		for _, line := range p.out.Lines() {
			var entry struct{ Msg, Addr, Admin string }
			if public == "" && json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
				public, admin = entry.Addr, entry.Admin
			}
		}
		return public != ""
	})

	bin := t.TempDir()
	host, port, _ := strings.Cut(server.Addr(), ":")
	cli := fmt.Sprintf("#!/bin/sh\nexec %s -h %s -p %s \"$@\"\n", redistest.Command(t, "redis-cli", "redis-tools"), host, port)
	if err := os.WriteFile(filepath.Join(bin, "redis-cli"), []byte(cli), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(gateway, filepath.Join(bin, "sse-gateway")); err != nil {
		t.Fatal(err)
	}
	return &shell{
		env: append(env, "PATH="+bin+":"+os.Getenv("PATH"), "REDIS_URL=redis://"+server.Addr()),
		addresses: strings.NewReplacer("127.0.0.1:8080", public, "127.0.0.1:9090", admin,
			"127.0.0.1:6379", server.Addr(), "redis:6379", server.Addr(), "bin/sse-gateway", gateway),
		dir: t.TempDir(),
	}
}

// until runs a command until its output has a text, which is when
// it is told to stop, or to its end if text is "". It returns the output.
func (s *shell) until(t *testing.T, c shown, command, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", s.addresses.Replace(command))
	cmd.Dir, cmd.Env = "..", s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stop := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.Cancel = stop
	var out redistest.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan bool, 1)
	if text != "" {
		go func() {
			ok := redistest.Poll(patience, func() bool { return strings.Contains(out.String(), text) || ctx.Err() != nil })
			_ = stop()
			found <- ok && strings.Contains(out.String(), text)
		}()
	}
	err := cmd.Wait()
	switch {
	case text == "" && err != nil:
		t.Errorf("%s: %s\n%v\n%s", c.page, c.text, err, out.String())
	case text != "":
		cancel()
		if !<-found {
			t.Errorf("%s: %s\nprints no %q: %v\n%s", c.page, c.text, text, err, out.String())
		}
	}
	return out.String()
}

func runToItsEnd(t *testing.T, s *shell, c shown) { s.until(t, c, c.text, "") }

// redis-cli says by its output alone that Redis refused a command.
func runRedisCLI(t *testing.T, s *shell, c shown) {
	if out := s.until(t, c, c.text, ""); regexp.MustCompile(`(?m)^[A-Z]{3,} `).MatchString(out) {
		t.Errorf("%s: %s\n%s", c.page, c.text, out)
	}
}

// A stream is read until its first frame; anything else has to be 200.
func runCurl(t *testing.T, s *shell, c shown) {
	if strings.HasPrefix(c.text, "curl -N ") {
		s.until(t, c, "exec "+c.text, "\nevent: gateway.")
		return
	}
	out := s.until(t, c, strings.Replace(c.text, "curl ", "curl -sSf ", 1), "")
	if strings.Contains(c.text, "application/json") && !json.Valid([]byte(out)) {
		t.Errorf("%s: %s\nis no JSON: %s", c.page, c.text, out)
	}
}

func runGateway(t *testing.T, s *shell, c shown) { s.until(t, c, c.text, `"msg":"serving"`) }

// make says what it would run: CI runs the targets themselves.
func runMake(t *testing.T, s *shell, c shown) {
	s.until(t, c, strings.Replace(c.text, "make ", "make -n ", 1), "")
}

func runInstall(t *testing.T, s *shell, c shown) {
	for _, dir := range []string{"/usr/local/bin/", "/etc/systemd/system/"} {
		if err := os.MkdirAll(s.dir+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.until(t, c, strings.NewReplacer(" /usr/", " "+s.dir+"/usr/", " /etc/", " "+s.dir+"/etc/").Replace(c.text), "")
}
