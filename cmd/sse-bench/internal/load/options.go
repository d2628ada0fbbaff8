package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
)

// Values of Options.Publish.
const (
	publishRedis = "redis"
	publishHTTP  = "http"
	publishNone  = "none"
)

// dataJSON is the value of Options.Data for payloads that compress as those of
// applications do.
const dataJSON = "json"

// Options is what a run is to do; its tags make it the flags of a scenario (see
// github.com/alecthomas/kong). The defaults in ${…} are the scenario's.
type Options struct {
	Gateway    []string `group:"server" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Base URLs of gateways. A subscriber comes back to another one."`
	URL        []string `group:"server" placeholder:"URL" help:"SSE URLs of any other server, with {channel} for the channel; instead of --gateway."`
	ResumeTo   []string `group:"server" placeholder:"URL" help:"Where a storm comes back to, as --gateway or --url (default: the same)."`
	Header     []string `group:"server" sep:"none" placeholder:"'Name: value'" help:"A request header; may be given several times."`
	Insecure   bool     `group:"server" help:"Do not verify TLS certificates."`
	Compressed bool     `group:"server" help:"Ask for gzip, and take nothing else. For this project's gateways, with SSE_COMPRESSION=gzip."`
	Pids       []int    `group:"server" placeholder:"PID" help:"Processes of the server: report their processor time and memory."`

	Subscribers  int      `group:"load" default:"${subscribers}" help:"How many streams."`
	Channels     int      `group:"load" default:"${channels}" help:"How many channels; 0 for one per subscriber."`
	ChannelsEach int      `group:"load" default:"1" help:"Channels of each subscriber, in its one stream."`
	Channel      string   `group:"load" default:"bench:{run}:{n}" help:"Name of the channels; {run} is new in every run, {n} counts from 0."`
	Processes    int      `group:"load" default:"1" help:"Run the subscribers in this many processes."`
	SourceIPs    []string `group:"load" name:"source-ips" placeholder:"IP" help:"Addresses of this machine to connect from (default: on loopback as many as needed)."`

	Publish    string  `group:"publish" enum:"redis,http,none" default:"redis" help:"How to publish: redis, http or none."`
	Redis      string  `group:"publish" default:"redis://127.0.0.1:6379" help:"URL of Redis, as the gateway takes it."`
	Prefix     string  `group:"publish" default:"sse:" help:"Stream key = prefix + channel."`
	PublishURL string  `group:"publish" placeholder:"URL" help:"Where to POST events with --publish=http, with {channel} for the channel."`
	Rate       float64 `group:"publish" default:"${rate}" help:"Events per second over all channels; 0 publishes nothing."`
	Size       int     `group:"publish" default:"100" help:"Bytes of data per event."`
	Data       string  `group:"publish" enum:"text,json" default:"text" help:"What the data is: text, which is padded with one letter, or json, an order and its items."`
	Maxlen     int64   `group:"publish" default:"0" help:"MAXLEN ~ of every XADD; 0 for none."`
	Missed     int     `group:"publish" default:"${missed}" help:"Storm: events per channel that are missed."`

	Duration     time.Duration `group:"time" default:"${duration}" help:"How long to publish, or with --rate=0 to stay."`
	Settle       time.Duration `group:"time" default:"${settle}" help:"How long at most to wait for the last events."`
	Grace        time.Duration `group:"time" default:"30s" help:"How much longer: what comes within it is late, the rest is lost."`
	ReadyTimeout time.Duration `group:"time" default:"60s" help:"How long at most to wait until everybody is connected."`
	After        time.Duration `group:"time" default:"${after}" help:"Wait after the disconnect before the server's memory is read again."`

	NoGaps bool   `group:"result" help:"Any gateway.gap fails the run."`
	Output string `group:"result" short:"o" enum:"table,json" default:"table" help:"What to print: table or json."`
	Quiet  bool   `group:"result" help:"No progress."`

	// What nobody needs who does not work on this tool. The longest default of
	// SSE_SWEEP_INTERVAL (30 s, ±20 %) is within Settle and Grace.
	Retry    time.Duration `hidden:"" default:"3s"`
	Inflight int           `hidden:"" default:"${inflight}"`
	Engine   string        `hidden:"" enum:"auto,epoll,goroutine" default:"auto"`
}

// perSource is how many connections share a source address on loopback. Linux finds a
// free port at once only while less than half of the 28,232 of its usual range are taken
// towards an address; a storm takes twice as many as there are subscribers, because the
// ports of the streams that were left stay taken for a while (TIME_WAIT).
const perSource = 5_000

// Complete fills in defaults that depend on other options.
func (o *Options) Complete() {
	if o.Channels == 0 {
		o.Channels = o.Subscribers
	}
	if o.Rate == 0 {
		o.Publish = publishNone
	}
}

// payload returns the data of events.
func (o *Options) payload(run string) payload {
	write := integrity.AppendPayload
	if o.Data == dataJSON {
		write = integrity.AppendJSON
	}
	return func(b []byte, p integrity.Payload) []byte { return write(b, run, p, o.Size) }
}

// events is how many events are published, but for a storm.
func (o *Options) events() int64 { return int64(o.Rate * o.Duration.Seconds()) }

// Check returns everything that is wrong with the options. Nothing is connected to.
func (o *Options) Check() error {
	var errs []error
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{o.Subscribers < 1, "--subscribers must be at least 1"},
		{o.Channels < 1 || o.Channels > 999_999, "--channels must be 0 to 999999"},
		{o.ChannelsEach < 1 || o.ChannelsEach > o.Channels, "--channels-each must be 1 to --channels"},
		{o.ChannelsEach > 1 && len(o.URL) > 0, "--channels-each needs --gateway"},
		{o.Channels > 1 && !strings.Contains(o.Channel, "{n}"), "--channel needs {n} when there is more than one channel"},
		{o.Size < integrity.MinSize, fmt.Sprintf("--size must be at least %d", integrity.MinSize)},
		{o.Data == dataJSON && o.Size < integrity.MinJSON, fmt.Sprintf("--size must be at least %d with --data=json", integrity.MinJSON)},
		{o.Publish == publishHTTP && o.PublishURL == "", "--publish=http needs --publish-url"},
		{o.Missed == 0 && o.Publish != publishNone && o.events() < 1, fmt.Sprintf("--rate=%g for a --duration of %s comes to no event; --rate=0 is for a run without", o.Rate, o.Duration)},
		{o.Missed > 0 && o.Publish == publishNone, "a storm needs --publish=redis or http, and a --rate"},
		{o.Missed < 0 || o.Maxlen < 0 || o.Rate < 0, "--missed, --maxlen and --rate must not be negative"},
		{o.Duration < 0 || o.Settle < 0 || o.Grace < 0 || o.After < 0 || o.Retry < 0, "durations must not be negative"},
		{o.ReadyTimeout <= 0, "--ready-timeout must be above 0"},
		{o.Inflight < 1 || o.Processes < 1, "--inflight and --processes must be at least 1"},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	for _, h := range o.Header {
		if name, _, ok := strings.Cut(h, ":"); !ok || name == "" || strings.ContainsAny(h, "\r\n") {
			errs = append(errs, errors.New("--header is written 'Name: value'"))
		}
	}
	if o.Publish == publishRedis {
		if s, err := newRedisSink(o.Redis); err != nil {
			errs = append(errs, fmt.Errorf("--redis: %w", err))
		} else {
			_ = s.close() // it has no connection yet
		}
	}
	cfg := o.config("")
	loopback, err := cfg.Check()
	if err == nil && loopback {
		o.spreadSources()
	}
	return errors.Join(append(errs, err)...)
}

// spreadSources takes other loopback addresses as sources when there are many
// subscribers, or the port search of connect, not the server, would set the pace.
// They differ from run to run, because the ports of the run before are still taken
// too. Only Linux has all of 127.0.0.0/8.
func (o *Options) spreadSources() {
	if len(o.SourceIPs) > 0 || !client.EpollSupported || o.Subscribers <= perSource/2 {
		return
	}
	prefix := fmt.Sprintf("127.%d", 1+rand.IntN(254))
	for i := range (o.Subscribers + perSource - 1) / perSource {
		o.SourceIPs = append(o.SourceIPs, fmt.Sprintf("%s.%d.%d", prefix, i/250, i%250+1))
	}
}

// config returns what the subscribers need to know.
func (o *Options) config(run string) client.Config {
	c := client.Config{
		Run: run, Native: len(o.URL) == 0, Targets: o.Gateway, Returns: o.ResumeTo,
		Headers: o.Header, Insecure: o.Insecure, Compressed: o.Compressed,
		ChannelName: strings.ReplaceAll(o.Channel, "{run}", run),
		Channels:    o.Channels, ChannelsEach: o.ChannelsEach,
		Count: o.Subscribers, Engine: o.Engine, Inflight: o.Inflight, Retry: o.Retry, Sources: o.SourceIPs,
	}
	if !c.Native {
		c.Targets = o.URL
	}
	return c
}
