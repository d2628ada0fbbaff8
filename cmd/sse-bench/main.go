// Command sse-bench loads a Server-Sent Events server the way browsers do, and
// tells whether anything was lost, repeated or out of order. It is for those who
// size a deployment or prove a change; see sse-bench -help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
)

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1 // a fault in what was delivered, or no run
	exitUsage = 2
)

func main() {
	logging.Disable() // of go-redis: what fails is counted and reported here
	if len(os.Args) == 2 && os.Args[1] == workerCommand {
		if err := serveWorker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "sse-bench:", err)
			os.Exit(exitFail)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the publishing, the second one the process.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program but its worker processes; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "sse-bench: %v\nTry sse-bench -help.\n", err)
		return exitUsage
	}
	r, err := runBench(ctx, o, stderr)
	if err == nil {
		err = printReport(stdout, r, o.json)
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

func printReport(w io.Writer, r *Report, asJSON bool) error {
	if !asJSON {
		return printTable(w, r)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
