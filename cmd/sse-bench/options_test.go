package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"}, {"extra"}, {"-scenario", "x"}, {"-size", "10"}, {"-rate", "-1"}, {"-subscribers", "0"},
		{"-url", "http://127.0.0.1/x", "-gateway", "http://127.0.0.1"}, {"-publish", "http"}, {"-publish", "x"},
		{"-channel", "one"}, {"-channels", "-1"}, {"-channels", "2", "-channels-each", "3"},
		{"-url", "http://127.0.0.1/{channel}", "-channels-each", "2"}, {"-url", "http://127.0.0.1", "-replay", "1"},
		{"-source-ips", "localhost"}, {"-pid", "x"}, {"-pids", "999999999"}, {"-header", "none"},
		{"-processes", "0"}, {"-inflight", "0"}, {"-settle", "-1s"}, {"-grace", "-1s"}, {"-subscribers", "9000000"},
		{"-scenario", "storm", "-publish", "none"}, {"-scenario", "storm", "-join", "1s"}, {"-ready-timeout", "0s"},
		{"-missed", "-1"}, {"-scenario", "storm", "-rate", "0"},
		{"-rate", "0.5", "-duration", "1s"}, {"-duration", "0s"}, {"-rate", "0.5", "-duration", "1s", "-join", "1s"},
		{"-gateway", "ftp://127.0.0.1"}, {"-gateway", "127.0.0.1:80"}, {"-gateway", "http://"},
		{"-url", "http://127.0.0.1/{channel}/{channel}"}, {"-gateway", "https://127.0.0.1", "-engine", "epoll"},
		{"-engine", "x"}, {"-resume-to", "x"},
		{"-redis", "x"}, {"-redis", "http://127.0.0.1"}, {"-redis", "redis+sentinel://127.0.0.1:1"},
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), args, &out, &errOut); code != exitUsage || errOut.Len() == 0 || out.Len() > 0 {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", args, code, &out, &errOut)
		}
	}
}

func TestHelp(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &out, &errOut); code != exitOK || errOut.Len() > 0 {
		t.Errorf("exit %d, stderr %q", code, &errOut)
	}
	for _, want := range []string{"Examples", "Exit status", "storm", "-source-ips"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help lacks %q", want)
		}
	}
}

func TestScenarioGivesWay(t *testing.T) {
	o, err := parseOptions([]string{"-rate", "7", "-scenario", "many", "-subscribers", "30"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if o.rate != 7 || o.channels != 30 || o.duration.Seconds() != 20 {
		t.Errorf("rate %v, %d channels, %v", o.rate, o.channels, o.duration)
	}
}

func TestRequestsOfASubscriber(t *testing.T) {
	tests := []struct {
		args   []string
		lastID string
		want   string
	}{
		{[]string{"-gateway", "http://127.0.0.1:81/base/", "-channels", "3", "-channels-each", "2", "-channel", "a:{n}", "-replay", "all"}, "",
			"GET /base/events?channel=a%3A0&channel=a%3A1&replay=all HTTP/1.1\r\nHost: 127.0.0.1:81\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"},
		{[]string{"-url", "http://127.0.0.1/sub/{channel}?x=1", "-channel", "a{n}", "-header", "Authorization: Bearer x"}, "1-0",
			"GET /sub/a0?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\nAuthorization: Bearer x\r\nLast-Event-ID: 1-0\r\n\r\n"},
		{[]string{"-url", "http://127.0.0.1/fixed"}, "",
			"GET /fixed HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n"},
	}
	for _, tt := range tests {
		o, err := parseOptions(tt.args, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := o.workerConfig("0123abcd")
		targets, returns, err := cfg.resolveTargets()
		if err != nil {
			t.Fatal(err)
		}
		g := newGroup(&cfg, targets, returns, 0, 1)
		g.subs[0].sse.lastID = []byte(tt.lastID)
		if got := string(g.subs[0].request(nil)); got != tt.want {
			t.Errorf("got\n%q, want\n%q", got, tt.want)
		}
	}
}

func TestAddressesAreSpread(t *testing.T) {
	for _, channels := range []int{1, 50, 1000} {
		cfg := &workerConfig{Channels: channels, ChannelsEach: 1, Total: 1000}
		g := newGroup(cfg, make([]target, 3), make([]target, 3), 0, 1000)
		var count [3]int
		for i := range g.subs {
			_, at := g.target(&g.subs[i])
			count[at]++
		}
		for _, n := range count {
			if n < 320 || n > 350 {
				t.Errorf("%d channels: %v", channels, count)
			}
		}
	}
}

func TestSourcesAreSpreadOnLoopback(t *testing.T) {
	for _, tt := range []struct {
		args string
		want int
	}{
		{"-subscribers 2000", 0},
		{"-subscribers 2001", 1},
		{"-subscribers 18000", 4},
		{"-subscribers 25000 -gateway http://127.0.0.1:1,http://127.0.0.2:1", 5},
		{"-subscribers 18000 -gateway http://192.0.2.1:1", 0},
		{"-subscribers 18000 -source-ips 127.0.0.9", 1},
	} {
		o, err := parseOptions(append(strings.Fields(tt.args), "-processes", "3"), &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if len(o.sources) != tt.want {
			t.Errorf("%s: %v", tt.args, o.sources)
		}
	}
}

// A run in which nothing was published, however that came about, has not shown
// that nothing is lost.
func TestNothingPublished(t *testing.T) {
	for _, tt := range []struct {
		publish *PublishReport
		pass    bool
	}{{nil, true}, {&PublishReport{Events: 1}, true}, {&PublishReport{}, false}} {
		r := &Report{Publish: tt.publish}
		if r.judge(false); r.Pass != tt.pass {
			t.Errorf("%+v: pass %v, %q", tt.publish, r.Pass, r.Failures)
		}
	}
	if _, err := parseOptions([]string{"-rate", "0.5", "-duration", "2s"}, &bytes.Buffer{}); err != nil {
		t.Errorf("one event: %v", err)
	}
	if _, err := parseOptions([]string{"-scenario", "storm", "-duration", "0s"}, &bytes.Buffer{}); err != nil {
		t.Errorf("a storm, whose events are counted: %v", err)
	}
}

// Whatever is wrong with a Redis URL, the password in it is not printed, nor a
// part of the URL that a slip has made of it.
func TestPasswordsAreNotPrinted(t *testing.T) {
	for _, url := range []string{
		"redis://u:s3cret@127.0.0.1:x/0", "redis://u:s3cret@127.0.0.1:1/s3cret", "redis://u:s3cret@127.0.0.1:1?ca=/nowhere",
		"redis://u:s3cret@127.0.0.1:1?server_name=x", "u:s3cret@127.0.0.1:1", "s3cret", "u:s3cret@h://127.0.0.1",
		"redis://:s3cret/s3cret@127.0.0.1:1", "redis://:%s3cret@127.0.0.1:1", "redis://s3cret@127.0.0.1:1", "unix://:s3cret@x",
		"redis+sentinel://u:s3cret@127.0.0.1:1", "redis+sentinel://:pw/s3cret@127.0.0.1:1?master=m",
		"redis+sentinel://u:s3cret@127.0.0.1:1/s3cret?master=m", "redis+cluster://:s3cret/x@127.0.0.1:1", "redis+cluster://u:%s3cret@127.0.0.1:1",
		"redis+cluster://u:s3cret@127.0.0.1:s3cret", "http://u:s3cret@127.0.0.1",
	} {
		var out, errOut bytes.Buffer
		code := run(t.Context(), []string{"-redis", url}, &out, &errOut)
		if code != exitUsage || !strings.Contains(errOut.String(), "-redis") || strings.Contains(errOut.String()+out.String(), "s3cret") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", url, code, &out, &errOut)
		}
	}
}
