package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	tuneMemory()
	// The first signal drains, the second ends at once, and one more kills.
	ctx, drain := context.WithCancel(context.Background())
	force, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-signals
		drain()
		<-signals
		signal.Stop(signals)
		end()
	}()
	// From here on a SIGHUP, also that of a terminal that closes, ends nothing.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	os.Exit(exitCode(run(ctx, force, os.Args[1:], program{out: os.Stdout, err: os.Stderr, hangups: hangups}), os.Stderr))
}

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode prints an error, a line for each mistake, and returns the exit code
// for it: 2 for what the user has to change, 1 for what went wrong.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "sse-gateway:", line)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// program is what a run gets from its caller.
type program struct {
	out, err io.Writer
	// hangups gets each SIGHUP; nil: none.
	hangups <-chan os.Signal
	// started, if not nil, is called once everything listens.
	started func(addrs)
	// polled tells that the Redis is one that has to be polled, as all know.
	polled bool
	// embeddedRedis is where the Redis of dev listens; "" is where redis-cli
	// looks.
	embeddedRedis string
}
