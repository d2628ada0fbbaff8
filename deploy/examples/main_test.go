package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// secret is the gateway's SSE_JWT_SECRET in these tests.
const secret = "a secret that is only for these tests"

// patience is how long a test waits for what must come.
const patience = time.Minute

// Programs that TestMain builds.
var gatewayProgram, publishProgram string

func TestMain(m *testing.M) {
	for pkg, program := range map[string]*string{"cmd/sse-gateway": &gatewayProgram, "deploy/examples/publish": &publishProgram} {
		var err error
		if *program, err = gatewaytest.Build(pkg, false); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	redistest.Parallel(6) // most wait for a browser or a process most of the time
	os.Exit(m.Run())
}

// gateway is a gateway process on addresses that stay the same over a restart.
type gateway struct {
	t             *testing.T
	env           []string
	public, admin string
	cmd           *exec.Cmd
	out           redistest.Output
}

// startGateway starts a gateway with the public channels that README has, unless env
// says otherwise, and waits until it is ready.
func startGateway(t *testing.T, redisURL string, env ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, public: redistest.FreeAddr(t), admin: redistest.FreeAddr(t)}
	g.env = append(os.Environ(), "SSE_REDIS_URL="+redisURL, "SSE_ADDR="+g.public, "SSE_ADMIN_ADDR="+g.admin,
		"SSE_PUBLIC_CHANNELS=*,chat:*,job:*", "SSE_JWT_SECRET="+secret, "SSE_RETRY=100ms")
	g.env = append(g.env, env...)
	g.start()
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("the gateway printed:\n%s", &g.out)
		}
	})
	return g
}

func (g *gateway) start() {
	g.t.Helper()
	g.cmd = exec.Command(gatewayProgram)
	g.cmd.Env = g.env
	g.cmd.Stdout, g.cmd.Stderr = &g.out, &g.out
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	redistest.Eventually(g.t, patience, "the gateway is ready", func() bool {
		res, err := http.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// kill ends the process at once, as a crash does.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}

// app is the application of these examples in front of a gateway.
type app struct {
	*httptest.Server
	redis     *redistest.Server
	gateway   *gateway
	snapshots atomic.Int64 // how often the orders were asked for
	streams   atomic.Int64 // how often an event stream was
	tokens    atomic.Int64 // how often a token was
	buffering atomic.Bool  // event streams are kept back until they are complete
	// What happens between the next snapshot and the arrival of its answer.
	meanwhile atomic.Pointer[http.Request]
}

// startApp starts the application, after change has changed its configuration.
func startApp(t *testing.T, change ...func(*config)) *app {
	t.Helper()
	a := &app{redis: redistest.Start(t)}
	a.gateway = startGateway(t, a.redis.URL())
	c := config{gateway: "http://" + a.gateway.public, redisURL: a.redis.URL(), secret: secret, tokenLife: tokenLife}
	for _, change := range change {
		change(&c)
	}
	handler, err := newApp(c)
	if err != nil {
		t.Fatal(err)
	}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			a.streams.Add(1)
		case "/api/token":
			a.tokens.Add(1)
		}
		if a.buffering.Load() && r.Header.Get("Accept") == "text/event-stream" {
			w = httptest.NewRecorder()
		}
		handler.ServeHTTP(w, r)
		if r.Method == http.MethodGet && r.URL.Path == "/api/orders" {
			a.snapshots.Add(1)
			if change := a.meanwhile.Swap(nil); change != nil {
				handler.ServeHTTP(httptest.NewRecorder(), change)
			}
		}
	}))
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// awaitRetry waits until a client has come back and found no gateway.
func (a *app) awaitRetry(t *testing.T) {
	t.Helper()
	before := a.streams.Load()
	redistest.Eventually(t, patience, "the client tries again", func() bool { return a.streams.Load() > before })
}

// background runs a program until the end of the test.
func background(t *testing.T, env []string, name string, args ...string) (printed *redistest.Output, cmd *exec.Cmd) {
	t.Helper()
	printed = &redistest.Output{}
	cmd = exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = printed, printed
	// A shell's children keep the pipe; they are not waited for longer.
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, printed)
		}
	})
	return printed, cmd
}
