package main

import (
	"errors"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/load"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

// preflight is the command that is no scenario.
const preflight = "preflight"

// commands are the scenarios: the same options with defaults of their own.
type commands struct {
	Run       load.Options `kong:"cmd,help='Events at a rate, to subscribers that stay.'"`
	Broadcast load.Options `kong:"cmd,set='subscribers=9000',set='channels=1',set='rate=10',set='duration=20s',help='Every subscriber on one channel.'"`
	Many      load.Options `kong:"cmd,set='subscribers=9000',set='channels=0',set='rate=1000',set='duration=20s',help='A channel for every subscriber.'"`
	Idle      load.Options `kong:"cmd,set='subscribers=9000',set='channels=1',set='rate=0',set='duration=10s',set='after=10s',help='Connect, stay, disconnect: the server\\'s memory.'"`
	Connect   load.Options `kong:"cmd,set='subscribers=9000',set='channels=1',set='rate=0',set='duration=0s',help='The time until everybody is connected.'"`
	Storm     load.Options `kong:"cmd,set='subscribers=5000',set='channels=1',set='missed=100',set='rate=2000',set='inflight=4096',set='settle=60s',help='All leave, miss events, and come back at once.'"`
	Hot       load.Options `kong:"cmd,set='subscribers=500',set='channels=1',set='rate=2000',set='duration=10s',help='A busy channel: 1,000,000 deliveries/s asked for.'"`
	Steps     load.Options `kong:"cmd,set='channels=1',set='settle=120s',help='Steps that are read from standard input: connect, wait, stay 30s, publish 3 1, return 1000.'"`
	Preflight struct {
		Subscribers int  `default:"${subscribers}" help:"How many streams."`
		Processes   int  `default:"1" help:"In how many load processes."`
		Local       bool `help:"The servers are on this machine too."`
	} `cmd:"" help:"What this machine lacks for so many streams."`
}

// defaults are those that a scenario may have its own of.
var defaults = kong.Vars{
	"subscribers": "1000", "channels": "50", "rate": "500", "missed": "0", "duration": "30s",
	"settle": "10s", "after": "0s", "inflight": "400",
}

const description = `Loads an SSE server the way browsers do and tells whether anything was lost, late, repeated or out of order.

Subscribers follow EventSource's rules: they honour retry:, send Last-Event-ID, come back to another address after any end of a stream, and give up for good on any answer but 200 text/event-stream. The publisher writes numbered events at a constant rate; latency counts from when an event was due. A gateway.gap excuses what Redis does not have any more, and an event that is too large.

Examples:

  sse-bench run --gateway=http://127.0.0.1:8080,http://127.0.0.1:8081 --duration=60s

  sse-bench idle --subscribers=18000 --processes=2 --pids=$(pidof sse-gateway)

  sse-bench storm --resume-to=http://127.0.0.1:8081

Exit status: 0 all is well; 1 an event was lost, late, repeated or out of order, a subscriber was refused or not connected, or the run could not be made; 2 wrong usage.`

// errHelp is returned when help was asked for, and printed.
var errHelp = errors.New("help")

// command is a command line.
type command struct {
	scenario string
	options  *load.Options
	local    bool // every address is one of this machine
}

// parse reads the command line. It tells all mistakes of the options at once.
func parse(args []string, stdout io.Writer) (*command, error) {
	var cli commands
	helped := false
	parser, err := kong.New(&cli, kong.Name("sse-bench"), kong.Description(description), defaults,
		kong.Writers(stdout, io.Discard), kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "server", Title: "The server"}, {Key: "load", Title: "The load"}, {Key: "publish", Title: "What is published"},
			{Key: "time", Title: "Times"}, {Key: "result", Title: "The result"},
		}))
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if helped {
		return nil, errHelp
	}
	if err != nil {
		return nil, err
	}
	c := &command{scenario: ctx.Command()}
	if c.scenario == preflight {
		p := cli.Preflight
		c.options, c.local = &load.Options{Subscribers: p.Subscribers, Processes: p.Processes}, p.Local
		if p.Subscribers < 1 || p.Processes < 1 {
			err = errors.New("--subscribers and --processes must be at least 1")
		}
		return c, err
	}
	c.options = map[string]*load.Options{
		"run": &cli.Run, "broadcast": &cli.Broadcast, "many": &cli.Many, "idle": &cli.Idle, "connect": &cli.Connect,
		"storm": &cli.Storm, "hot": &cli.Hot, load.StepsCommand: &cli.Steps,
	}[c.scenario]
	return c, c.check()
}

func (c *command) check() error {
	c.options.Complete()
	if err := c.options.Check(); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	_, err := report.ReadProcesses(c.options.Pids)
	return err
}
