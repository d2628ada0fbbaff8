package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Values of -publish.
const (
	publishRedis = "redis"
	publishHTTP  = "http"
	publishNone  = "none"
)

// defaultGrace is how long after -settle an event still counts as late, not as
// lost. With the default -settle it is longer than a gateway's default
// SSE_SWEEP_INTERVAL (30 s, ±20 %), so that what only the sweep found is late.
const defaultGrace = 30 * time.Second

// options is the command line.
type options struct {
	gateway, returns, urls, headers, sources list

	scenario    string
	redis       string
	prefix      string
	channelName string
	channels    int // 0: one per subscriber
	each        int
	subscribers int
	replay      string

	publish    string
	publishURL string
	publishers int
	rate       float64
	size       int
	maxLen     int64
	keep       bool
	missed     int

	duration       time.Duration
	settle         time.Duration
	grace          time.Duration
	join           time.Duration
	readyTimeout   time.Duration
	after          time.Duration
	retry          time.Duration
	connectTimeout time.Duration
	connectRate    float64
	inflight       int

	processes int
	loops     int
	engine    string
	insecure  bool
	pids      pidList
	json      bool
	quiet     bool
	noGaps    bool
}

// list is a flag of comma-separated values that may be given several times.
type list []string

// String implements flag.Value.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *list) Set(v string) error {
	for s := range strings.SplitSeq(v, ",") {
		if s = strings.TrimSpace(s); s != "" {
			*l = append(*l, s)
		}
	}
	return nil
}

// headerList is a list whose values may hold commas.
type headerList struct{ to *list }

// String implements flag.Value.
func (h headerList) String() string { return "" }

// Set implements flag.Value.
func (h headerList) Set(v string) error {
	name, _, ok := strings.Cut(v, ":")
	if !ok || name == "" || strings.ContainsAny(v, "\r\n") {
		return errors.New("a header is written 'Name: value'")
	}
	*h.to = append(*h.to, v)
	return nil
}

// pidList is a flag of comma-separated process ids.
type pidList []int

// String implements flag.Value.
func (p *pidList) String() string { return "" }

// Set implements flag.Value.
func (p *pidList) Set(v string) error {
	for s := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is not a process id", s)
		}
		*p = append(*p, n)
	}
	return nil
}

// parseOptions reads the command line. It returns flag.ErrHelp after it has
// printed the usage to stdout; any other error is a wrong usage.
func parseOptions(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	fs := o.flags()
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printUsage(stdout, fs)
		}
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := applyScenario(fs, o.scenario, given); err != nil {
		return nil, err
	}
	o.complete()
	return o, o.check()
}

func (o *options) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("sse-bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are printed once, by main
	fs.StringVar(&o.scenario, "scenario", "", "preset of other flags: "+scenarioNames())
	fs.Var(&o.gateway, "gateway", "base `URLs` of gateways; a subscriber comes back to the next one (default http://127.0.0.1:8080)")
	fs.Var(&o.urls, "url", "SSE `URLs` of any other server, {channel} standing for the channel; instead of -gateway")
	fs.Var(&o.returns, "resume-to", "`URLs` to come back to in a storm, as -gateway or -url (default the same)")
	fs.Var(headerList{&o.headers}, "header", "request header `'Name: value'`; may be given several times")
	fs.Var(&o.sources, "source-ips", "source `addresses` (default on loopback with more than 2,000 subscribers: one per 5,000)")
	fs.BoolVar(&o.insecure, "insecure", false, "do not verify TLS certificates")

	fs.IntVar(&o.subscribers, "subscribers", 1000, "number of subscribers")
	fs.IntVar(&o.channels, "channels", 50, "number of channels; 0 for one per subscriber")
	fs.IntVar(&o.each, "channels-each", 1, "channels that each subscriber asks for in its one stream")
	fs.StringVar(&o.channelName, "channel", "bench:{run}:{n}", "`name` of the channels; {run} is new in every run, {n} counts from 0")
	fs.StringVar(&o.replay, "replay", "", "replay=`N|all` in a gateway's URL; all makes joining subscribers expect every event")
	fs.DurationVar(&o.join, "join", 0, "let the subscribers come evenly over this time while events are published")
	fs.DurationVar(&o.retry, "retry", 3*time.Second, "time to reconnect until the server sends retry:")

	fs.StringVar(&o.publish, "publish", publishRedis, "`how` to publish: redis, http or none")
	fs.StringVar(&o.redis, "redis", "redis://127.0.0.1:6379", "`URL` of Redis: redis, rediss, unix, redis+sentinel (?master=NAME), redis+cluster")
	fs.StringVar(&o.prefix, "prefix", "sse:", "stream key = prefix + channel")
	fs.StringVar(&o.publishURL, "publish-url", "", "`URL` to POST events to, {channel} standing for the channel")
	fs.IntVar(&o.publishers, "publishers", 0, "connections that publish (default 4, with -publish http 16)")
	fs.Float64Var(&o.rate, "rate", 500, "events per second over all channels; 0 publishes nothing")
	fs.IntVar(&o.size, "size", 100, "bytes of data per event")
	fs.Int64Var(&o.maxLen, "maxlen", 0, "MAXLEN ~ of every XADD; 0 for none")
	fs.BoolVar(&o.keep, "keep", false, "leave the streams in Redis; else they are deleted if -channel holds {run}")
	fs.IntVar(&o.missed, "missed", 0, "storm: events per channel to publish while everybody is away")

	fs.DurationVar(&o.duration, "duration", 30*time.Second, "how long to publish, or with -rate 0 to stay")
	fs.DurationVar(&o.settle, "settle", 10*time.Second, "how long at most to wait for the last events")
	fs.DurationVar(&o.grace, "grace", defaultGrace, "how much longer to wait for events that -settle missed: those that come are late, the rest is lost")
	fs.DurationVar(&o.readyTimeout, "ready-timeout", 60*time.Second, "how long at most to wait until everybody is connected")
	fs.DurationVar(&o.after, "after", 0, "wait this long after the disconnect before the server's memory is read again")
	fs.DurationVar(&o.connectTimeout, "connect-timeout", 10*time.Second, "limit from SYN to response head")
	fs.Float64Var(&o.connectRate, "connect-rate", 0, "connections begun per second; 0 for as many as possible")
	fs.IntVar(&o.inflight, "inflight", 400, "connections at once between SYN and response head, over all processes")

	fs.IntVar(&o.processes, "processes", 1, "run the subscribers in this many processes")
	fs.IntVar(&o.loops, "loops", 0, "engines per process (default one per four cores)")
	fs.StringVar(&o.engine, "engine", engineAuto, "auto, epoll (Linux, no TLS) or goroutine")
	fs.Var(&o.pids, "pids", "process `ids` of the server: report its processor time and memory (start it anew for the latter)")
	fs.Var(&o.pids, "pid", "the same as -pids")
	fs.BoolVar(&o.json, "json", false, "print one JSON object instead of the table")
	fs.BoolVar(&o.quiet, "quiet", false, "no progress on stderr")
	fs.BoolVar(&o.noGaps, "no-gaps", false, "exit 1 also on any gateway.gap")
	return fs
}

// complete fills in defaults that depend on other flags.
func (o *options) complete() {
	if len(o.gateway) == 0 && len(o.urls) == 0 {
		o.gateway = list{"http://127.0.0.1:8080"}
	}
	if o.channels == 0 {
		o.channels = o.subscribers
	}
	if o.rate == 0 {
		o.publish = publishNone
	}
	if o.publishers == 0 {
		o.publishers = 4
		if o.publish == publishHTTP {
			o.publishers = 16
		}
	}
	if o.loops == 0 && o.processes > 0 {
		// One loop takes some 300,000 events a second. More of them on few cores
		// only make the batches of each smaller.
		o.loops = max(runtime.GOMAXPROCS(0)/o.processes/4, 1)
	}
}

// events is how many events are published, but for a storm.
func (o *options) events() int64 { return int64(o.rate * o.duration.Seconds()) }

// native tells whether the server is this project's gateway.
func (o *options) native() bool { return len(o.urls) == 0 }

// check returns what is wrong with the flags together.
func (o *options) check() error {
	switch {
	case len(o.gateway) > 0 && len(o.urls) > 0:
		return errors.New("-gateway and -url exclude each other")
	case o.subscribers < 1:
		return errors.New("-subscribers must be at least 1")
	case o.channels < 1 || o.channels > 999_999:
		return errors.New("-channels must be 0 to 999999")
	case o.each < 1 || o.each > o.channels:
		return errors.New("-channels-each must be 1 to -channels")
	case o.each > 1 && !o.native():
		return errors.New("-channels-each needs -gateway")
	case o.channels > 1 && !strings.Contains(o.channelName, "{n}"):
		return errors.New("-channel needs {n} when there is more than one channel")
	case o.size < minEventSize:
		return fmt.Errorf("-size must be at least %d", minEventSize)
	case o.publish != publishRedis && o.publish != publishHTTP && o.publish != publishNone:
		return fmt.Errorf("-publish %q is not redis, http or none", o.publish)
	case o.publish == publishHTTP && o.publishURL == "":
		return errors.New("-publish http needs -publish-url")
	case o.missed == 0 && o.publish != publishNone && o.events() < 1:
		return fmt.Errorf("-rate %g for a -duration of %s comes to no event; -rate 0 is for a run without", o.rate, o.duration)
	case o.missed > 0 && o.publish == publishNone:
		return errors.New("a storm needs -publish redis or http, and a -rate")
	case o.missed > 0 && o.join > 0:
		return errors.New("-join and a storm exclude each other")
	case o.missed < 0 || o.maxLen < 0 || o.rate < 0 || o.join < 0 || o.connectRate < 0:
		return errors.New("-missed, -maxlen, -rate, -join and -connect-rate must not be negative")
	case o.duration < 0 || o.settle < 0 || o.grace < 0 || o.after < 0 || o.retry < 0:
		return errors.New("durations must not be negative")
	case o.connectTimeout <= 0 || o.readyTimeout <= 0:
		return errors.New("-connect-timeout and -ready-timeout must be above 0")
	case o.inflight < 1 || o.processes < 1 || o.loops < 1:
		return errors.New("-inflight, -processes and -loops must be at least 1")
	case o.replay != "" && !o.native():
		return errors.New("-replay needs -gateway")
	}
	return o.checkHost()
}

// workerConfig returns what the subscribers' side needs to know.
func (o *options) workerConfig(run string) workerConfig {
	c := workerConfig{
		Run: run, Native: o.native(), Targets: o.gateway, Returns: o.returns,
		Headers: o.headers, Insecure: o.insecure,
		ChannelName: strings.ReplaceAll(o.channelName, "{run}", run),
		Channels:    o.channels, ChannelsEach: o.each, Total: o.subscribers,
		Engine: o.engine, Loops: o.loops, Inflight: o.inflight,
		ConnectRate: o.connectRate, ConnectTimeout: o.connectTimeout,
		Retry: o.retry, Join: o.join, FromStart: o.replay == "all", Sources: o.sources,
	}
	if !c.Native {
		c.Targets = o.urls
	}
	if o.replay != "" {
		c.Query = "replay=" + o.replay
	}
	return c
}
