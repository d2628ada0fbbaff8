// Command sse-bench loads a Server-Sent Events server the way browsers do, and
// tells whether anything was lost, repeated or out of order. It is for those who
// size a deployment or prove a change; see sse-bench --help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/load"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1 // a fault in what was delivered, or no run
	exitUsage = 2
)

func main() {
	logging.Disable() // of go-redis: what fails is counted and reported here
	if len(os.Args) == 2 && os.Args[1] == load.WorkerCommand {
		if err := load.ServeWorker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "sse-bench:", err)
			os.Exit(exitFail)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the publishing, the second one the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but its worker processes; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c, err := parse(args, stdout)
	switch {
	case errors.Is(err, errHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "sse-bench: %v\nTry sse-bench --help.\n", err)
		return exitUsage
	}
	lacks := readHost().lacks(c.options.Subscribers, c.options.Processes, c.local)
	for _, l := range lacks {
		fmt.Fprintln(stderr, "sse-bench: this machine:", l)
	}
	if c.scenario == preflight {
		if len(lacks) == 0 {
			fmt.Fprintf(stdout, "this machine allows %d streams in %d processes\n", c.options.Subscribers, c.options.Processes)
			return exitOK
		}
		return exitFail
	}
	if len(lacks) > 0 && readHost().tooFew(c.options.Subscribers, c.options.Processes) {
		return exitUsage
	}
	r, err := load.Run(ctx, c.scenario, c.options, stdin, stdout, stderr)
	if err == nil {
		err = printReport(stdout, r, c.options.Output == "json")
	}
	if err != nil {
		fmt.Fprintln(stderr, "sse-bench:", err)
		return exitFail
	}
	if !r.Pass {
		return exitFail
	}
	return exitOK
}

func printReport(w io.Writer, r *report.Report, asJSON bool) error {
	if !asJSON {
		return r.Table(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
