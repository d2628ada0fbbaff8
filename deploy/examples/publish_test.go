package main

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// event is what a subscriber sees of an event.
type event struct{ id, name, data string }

// subscribe opens a stream, and returns its events from the first of a
// publisher on.
func subscribe(t *testing.T, url string) <-chan event {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, res.Status)
	}
	events := make(chan event, 64)
	go func() {
		defer close(events)
		var e event
		var data []string
		for in := bufio.NewScanner(res.Body); in.Scan(); {
			field, value, _ := strings.Cut(in.Text(), ": ")
			switch {
			case field == "id":
				e.id = value
			case field == "event":
				e.name = value
			case field == "data":
				data = append(data, value)
			case in.Text() == "" && data != nil:
				e.data = strings.Join(data, "\n")
				if !strings.HasPrefix(e.name, "gateway.") {
					events <- e
				}
				e, data = event{}, nil
			}
		}
	}()
	return events
}

func next(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(patience):
		t.Fatal("no event")
	}
	return event{}
}

// publishers are the examples, as commands that CHANNEL DATA [EVENT] follow.
func publishers(t *testing.T) map[string][]string {
	t.Helper()
	redistest.Command(t, "redis-cli", "redis-tools")
	return map[string][]string{
		"Go":     {publishProgram},
		"Python": {redistest.Command(t, "python3", "python3"), "publish/publish.py"},
		"Node":   {redistest.Command(t, "node", "nodejs"), "publish/publish.mjs"},
		"shell":  {"publish/publish.sh"},
	}
}

// What is published arrives, whichever language it was published from: the name,
// every byte of the data, and the id that was printed. The user may do nothing
// but append.
func TestPublish(t *testing.T) {
	server := redistest.Start(t, redistest.WithUser("publisher on >s3cr:et/ resetkeys %W~sse:* -@all +xadd"))
	redisURL := "REDIS_URL=" + server.URLAs("publisher", "s3cr:et/")
	events := subscribe(t, "http://"+startGateway(t, server.URL()).public+"/events?channel=orders")
	for language, command := range publishers(t) {
		t.Run(language, func(t *testing.T) {
			for _, want := range []event{
				{data: "hello"},
				{name: "created", data: `{"id":17,"note":"it's \"new\" & cheap – 5 €"}`},
				{name: "lines", data: "one\n two\n\nfour: $HOME %s"},
				{data: strings.Repeat("0123456789", 5000)},
			} {
				args := []string{"orders", want.data}
				if want.name != "" {
					args = append(args, want.name)
				}
				want.id = published(t, redisURL, command, args)
				if got := next(t, events); got != want {
					t.Errorf("got %.200q, want %.200q", got, want)
				}
			}
		})
	}
}

// published runs a publisher and returns the id that it printed.
func published(t *testing.T, redisURL string, command, args []string) string {
	t.Helper()
	cmd := exec.Command(command[0], append(command[1:], args...)...)
	cmd.Env = append(os.Environ(), redisURL)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v %.100q: %v\n%s", command, args, err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// A refusal of Redis, a Redis that is away and a wrong usage are errors that a
// caller can see.
func TestPublishFails(t *testing.T) {
	server := redistest.Start(t, redistest.WithUser("default off"), redistest.WithUser("publisher on >secret resetkeys %W~sse:orders -@all +xadd"))
	for language, command := range publishers(t) {
		for what, c := range map[string]struct {
			url  string
			args []string
			want int
		}{
			"not allowed":    {server.URLAs("publisher", "secret"), []string{"other", "hello"}, 1},
			"wrong password": {server.URLAs("publisher", "wrong"), []string{"orders", "hello"}, 1},
			"no Redis":       {"redis://" + redistest.FreeAddr(t), []string{"orders", "hello"}, 1},
			"no data":        {server.URLAs("publisher", "secret"), []string{"orders"}, -1},
		} {
			t.Run(language+", "+what, func(t *testing.T) {
				cmd := exec.Command(command[0], append(command[1:], c.args...)...)
				cmd.Env = append(os.Environ(), "REDIS_URL="+c.url)
				out, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || len(out) == 0 || strings.Contains(string(out), "Traceback") {
					t.Fatalf("ended with %v and %q", err, out)
				}
				if c.want > 0 && exit.ExitCode() != c.want {
					t.Errorf("exit %d, want %d: %s", exit.ExitCode(), c.want, out)
				}
			})
		}
	}
	if n := server.Do("XLEN", "sse:orders"); n != int64(0) {
		t.Errorf("%v events were published", n)
	}
}
