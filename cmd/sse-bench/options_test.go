package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrongUsage(t *testing.T) {
	for _, args := range []string{
		"run --nonsense", "run extra", "x", "--rate=1", "run --size=10", "run --size=100 --data=json", "run --data=x", "run --rate=-1", "run --subscribers=0",
		"run --publish=http", "run --publish=x", "run --channel=one", "run --channels=-1", "run --channels=2 --channels-each=3",
		"run --url=http://127.0.0.1/{channel} --channels-each=2", "run --source-ips=localhost", "run --pids=x", "run --pids=999999999",
		"run --header=none", "run --processes=0", "run --inflight=0", "run --settle=-1s", "run --grace=-1s", "run --subscribers=9000000",
		"storm --publish=none", "run --ready-timeout=0s", "run --missed=-1", "storm --rate=0", "run --rate=0.5 --duration=1s",
		"run --duration=0s", "run --gateway=ftp://127.0.0.1", "run --gateway=127.0.0.1:80", "run --gateway=http://",
		"run --url=http://127.0.0.1/{channel}/{channel}", "run --gateway=https://127.0.0.1 --engine=epoll", "run --engine=x",
		"storm --resume-to=x", "run --redis=x", "run --redis=http://127.0.0.1", "run --redis=redis+sentinel://127.0.0.1:1",
		"run -o x", "preflight --subscribers=0",
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), nil, &out, &errOut); code != exitUsage || errOut.Len() == 0 || out.Len() > 0 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, code, &out, &errOut)
		}
	}
}

// All mistakes are told at once.
func TestEveryMistakeIsTold(t *testing.T) {
	var out, errOut bytes.Buffer
	run(t.Context(), strings.Fields("run --size=1 --redis=x --settle=-1s --gateway=ftp://x"), nil, &out, &errOut)
	for _, want := range []string{"--size", "--redis", "durations", "ftp://x"} {
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("%q lacks %q", &errOut, want)
		}
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string][]string{
		"":             {"Examples", "Exit status", "storm", "preflight"},
		"--help":       {"broadcast"},
		"storm --help": {"The server", "What is published", "--resume-to", "--missed=100"},
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), nil, &out, &errOut); code != exitOK || errOut.Len() > 0 {
			t.Errorf("%s: exit %d, stderr %q", args, code, &errOut)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("the help of %q lacks %q:\n%s", args, w, &out)
			}
		}
		if strings.Contains(out.String(), "--inflight") {
			t.Error("the help shows what is hidden")
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 101 {
				t.Errorf("%d columns: %s", len(line)-1, line)
			}
		}
	}
}

func TestScenarioGivesWay(t *testing.T) {
	c, err := parse(strings.Fields("many --rate=7 --subscribers=30"), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if o := c.options; o.Rate != 7 || o.Channels != 30 || o.Duration.Seconds() != 20 {
		t.Errorf("rate %v, %d channels, %v", o.Rate, o.Channels, o.Duration)
	}
	for _, fine := range []string{"run --rate=0.5 --duration=2s", "storm --duration=0s"} {
		if _, err := parse(strings.Fields(fine), &bytes.Buffer{}); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
}

func TestSourcesAreSpreadOnLoopback(t *testing.T) {
	for args, want := range map[string]int{
		"--subscribers=2500":  0,
		"--subscribers=2501":  1,
		"--subscribers=18000": 4,
		"--subscribers=25000 --gateway=http://127.0.0.1:1,http://127.0.0.2:1": 5,
		"--subscribers=18000 --gateway=http://192.0.2.1:1":                    0,
		"--subscribers=18000 --source-ips=127.0.0.9":                          1,
	} {
		c, err := parse(append([]string{"run"}, strings.Fields(args)...), &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.options.SourceIPs; len(got) != want {
			t.Errorf("%s: %v", args, got)
		}
	}
}

func TestPreflightNamesWhatIsLacking(t *testing.T) {
	plenty := host{files: 20_000, allFiles: 1 << 40, processes: 30_000, tcpPages: 1 << 30, available: 24 << 30}
	if l := plenty.lacks(1_000_000, 56, true); len(l) != 0 || plenty.tooFew(1_000_000, 56) {
		t.Errorf("%q", l)
	}
	for want, h := range map[string]host{
		"--processes=51": {files: 20_000}, "fs.file-max": {allFiles: 1_000_000}, "nf_conntrack_max": {tracked: 262_144},
		"threads": {processes: 300}, "tcp_mem": {tcpPages: 1000}, "MB of memory": {available: 1 << 30},
	} {
		if l := h.lacks(1_000_000, 50, true); len(l) != 1 || !strings.Contains(l[0], want) {
			t.Errorf("%q lacks %q", l, want)
		}
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"preflight", "--subscribers=900000000"}, nil, &out, &errOut); code != exitFail || !strings.Contains(errOut.String(), "ulimit -n") {
		t.Errorf("exit %d, %q", code, &errOut)
	}
	if code := run(t.Context(), []string{"preflight", "--subscribers=10"}, nil, &out, &errOut); code != exitOK {
		t.Errorf("exit %d, %q", code, &errOut)
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
		code := run(t.Context(), []string{"run", "--redis", url}, nil, &out, &errOut)
		if code != exitUsage || !strings.Contains(errOut.String(), "--redis") || strings.Contains(errOut.String()+out.String(), "s3cret") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", url, code, &out, &errOut)
		}
	}
}
