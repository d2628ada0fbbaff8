package main

import (
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
)

const usageHead = `sse-bench loads an SSE server the way browsers do and tells whether anything
was lost, late, repeated or out of order.

Subscribers follow EventSource's rules: they honour retry:, send Last-Event-ID,
come back to the next address after any end of a stream, and give up for good on
any answer but 200 text/event-stream. The publisher writes numbered events at a
constant rate; latency counts from when an event was due.

When all is published, -settle is the time for the last events to arrive. What
is missing then is waited for over -grace: an event that comes is late, and the
report says by how much; one that does not come is lost. Both fail the run.

A gateway.gap excuses what Redis does not have any more, and no more than it
speaks of. With -publish redis, Redis is asked at the end: an event that it has
and a subscriber has not is lost, whatever gap stands in its place, unless it is
too large for the gateway. -no-gaps is for a run in which nothing is trimmed.

Examples
  # 1,000 subscribers on 50 channels of two replicas, 500 events/s
  sse-bench -gateway http://127.0.0.1:8080,http://127.0.0.1:8081 -duration 60s

  # memory and processor time of a gateway with 18,000 idle connections
  sse-bench -scenario idle -subscribers 18000 -processes 2 -pid $(pidof sse-gateway)

  # a reconnect storm onto a replica that has not seen the channel yet
  sse-bench -scenario storm -resume-to http://127.0.0.1:8081

  # another server: nchan, with its own way to publish
  sse-bench -scenario broadcast -url http://127.0.0.1:8090/sub/{channel} \
    -publish http -publish-url http://127.0.0.1:8090/pub/{channel} -channel bench-{run}-{n}

Exit status: 0 all is well; 1 an event was lost, late, repeated or out of order,
a subscriber was refused or not connected, or the run could not be made; 2 wrong
usage.

Scenarios (presets; flags that are given win)
`

// printUsage writes the whole help.
func printUsage(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprint(w, usageHead)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range scenarios {
		fmt.Fprintf(tw, "  %s\t%s\t", s.name, s.about)
		for _, f := range s.flags {
			fmt.Fprintf(tw, " -%s %s", f[0], f[1])
		}
		fmt.Fprintln(tw)
	}
	_ = tw.Flush() // an error would be the writer's, which has nowhere to go
	fmt.Fprint(w, "\nFlags\n")
	fs.SetOutput(w)
	fs.PrintDefaults()
	fs.SetOutput(io.Discard)
}
