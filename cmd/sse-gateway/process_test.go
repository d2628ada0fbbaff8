package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// gatewayProcess is a gateway in a process of its own, with an environment of
// its own. Its methods belong on the test's goroutine.
type gatewayProcess struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err redistest.Output
	public   string        // address
	admin    string        // address
	exited   chan struct{} // closed when the process is gone
}

// cleanEnv is the environment of a process: nothing of the test's own but what
// programs need, then what is given.
func cleanEnv(env []string) []string {
	clean := []string{"GORACE=halt_on_error=1 atexit_sleep_ms=10"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			clean = append(clean, name+"="+v)
		}
	}
	return append(clean, env...)
}

// gatewayEnv is the environment that most tests want, on free ports.
func gatewayEnv(redisURL string, env ...string) []string {
	return append([]string{
		"SSE_REDIS_URL=" + redisURL, "SSE_PUBLIC_CHANNELS=**", "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0",
		"SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_LOG_FORMAT=json",
	}, env...)
}

// startGateway starts the program and waits until it listens. The end of the
// test ends it.
func startGateway(t *testing.T, env ...string) *gatewayProcess {
	t.Helper()
	return startGatewayCommand(t, exec.Command(gatewayBinary), env...)
}

// startGatewayCommand is startGateway with a command of the caller's.
func startGatewayCommand(t *testing.T, cmd *exec.Cmd, env ...string) *gatewayProcess {
	t.Helper()
	p := &gatewayProcess{t: t, cmd: cmd, exited: make(chan struct{})}
	p.cmd.Env = cleanEnv(env)
	p.cmd.Stdout = &p.out
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan struct{})
	go p.read(stderr, serving)
	t.Cleanup(p.cleanUp)
	select {
	case <-serving:
	case <-p.exited:
		t.Fatalf("the gateway did not start: %v\n%s", p.cmd.ProcessState, &p.err)
	case <-time.After(patience):
		t.Fatalf("the gateway did not start\n%s", &p.err)
	}
	return p
}

// read collects the log and finds the addresses in it.
func (p *gatewayProcess) read(stderr io.Reader, serving chan struct{}) {
	for in := bufio.NewReader(stderr); ; {
		line, err := in.ReadBytes('\n')
		_, _ = p.err.Write(line)
		var entry struct{ Msg, Addr, Admin string }
		if p.public == "" && json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			p.public, p.admin = entry.Addr, entry.Admin
			close(serving)
		}
		if err != nil {
			break
		}
	}
	_ = p.cmd.Wait()
	close(p.exited)
}

func (p *gatewayProcess) cleanUp() {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	if strings.Contains(p.err.String(), "DATA RACE") {
		p.t.Errorf("the race detector found something:\n%s", &p.err)
	} else if p.t.Failed() {
		p.t.Logf("the gateway printed:\n%.8000s", p.err.String())
	}
}

// terminate sends SIGTERM and returns when.
func (p *gatewayProcess) terminate() time.Time {
	p.t.Helper()
	now := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	return now
}

// requireExit waits until the process is gone, which must have ended by itself
// and well, not later than within.
func (p *gatewayProcess) requireExit(within time.Duration) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints what it hangs in
		<-p.exited
		p.t.Fatalf("the process outlived %v\n%s", within, &p.err)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("exit code %d\n%s", code, &p.err)
	}
}

// alive reports whether the process has not exited.
func (p *gatewayProcess) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *gatewayProcess) eventsURL(query string) string {
	return "http://" + p.public + "/events?" + query
}

// ready asks /readyz; status 0 means that nobody answers.
func (p *gatewayProcess) ready() (status int, reason string) {
	status, body := fetch(p.t, "http://"+p.admin+"/readyz", nil)
	var v struct{ Reason string }
	_ = json.Unmarshal([]byte(body), &v)
	return status, v.Reason
}

// awaitReady waits until the replica is ready.
func (p *gatewayProcess) awaitReady() {
	p.t.Helper()
	redistest.Eventually(p.t, patience, "the gateway is ready", func() bool {
		status, _ := p.ready()
		return status == http.StatusOK
	})
}

// metric returns the value of a series of the process: a name, with the value
// of its label behind it if it has one.
func (p *gatewayProcess) metric(name string, label ...string) float64 {
	p.t.Helper()
	_, body := fetch(p.t, "http://"+p.admin+"/metrics", nil)
	for line := range strings.Lines(body) {
		series, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		family, labels, _ := strings.Cut(series, "{")
		if family != name || len(label) > 0 && !strings.Contains(labels, `"`+label[0]+`"`) {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		return v
	}
	p.t.Fatalf("there is no series %s %v", name, label)
	return 0
}

// awaitMetric waits until a series has a value.
func (p *gatewayProcess) awaitMetric(within time.Duration, want float64, name string, label ...string) {
	p.t.Helper()
	redistest.Eventually(p.t, within, fmt.Sprintf("%s %v is %v", name, label, want), func() bool {
		return p.metric(name, label...) == want
	})
}

// fetch gets a URL with a connection of its own. Status 0 means that there was
// no answer.
func fetch(t *testing.T, url string, header http.Header) (status int, body string) {
	t.Helper()
	res, body, err := fetchResponse(url, header)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, body
}

func fetchResponse(url string, header http.Header) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

// runProgram runs the program to its end and returns what it printed.
func runProgram(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, gatewayBinary, args...)
	cmd.Env = cleanEnv(env)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}
