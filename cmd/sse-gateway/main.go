// Command sse-gateway serves Redis Streams to browsers as Server-Sent Events.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	os.Exit(exitCode(run(ctx, force, os.Args[1:], program{out: os.Stdout, err: os.Stderr}), os.Stderr))
}

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode prints an error and returns the exit code for it: 2 for what the
// user has to change, 1 for what went wrong.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "sse-gateway:", err)
	var usage usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

// program is what a run has of the world.
type program struct {
	out, err io.Writer
	// started, if not nil, is called once everything listens.
	started func(addrs)
	// embeddedRedis is where the Redis of dev listens; "" is where redis-cli
	// looks.
	embeddedRedis string
}

// run does what the command line says, until ctx ends and the streams are
// drained, or until force ends.
func run(ctx, force context.Context, args []string, p program) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	if len(args) > 1 {
		return usageError{fmt.Errorf("unexpected argument %q; see sse-gateway help", args[1])}
	}
	switch command {
	case "", "serve", "dev":
		cfg, err := loadConfig(command == "dev")
		if err != nil {
			return usageError{err}
		}
		if command == "dev" {
			return dev(ctx, force, cfg, p)
		}
		return serve(ctx, force, cfg, p)
	case "help", "-h", "-help", "--help":
		return printHelp(p.out)
	case "version", "-version", "--version":
		_, err := fmt.Fprintln(p.out, versionLine())
		return err
	case "healthcheck":
		return healthcheck(ctx)
	}
	return usageError{fmt.Errorf("unknown command %q; commands are serve (the default), dev, help, version, healthcheck", command)}
}
