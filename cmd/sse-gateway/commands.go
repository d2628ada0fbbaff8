package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
)

// command is a first argument of the program.
type command struct {
	name    string
	summary string // for the list of commands, in lines of at most 70 columns
	about   string // for the command's own help; "": the summary
	// variables tells that its help lists the variables.
	variables bool
	run       func(ctx, force context.Context, p program) error
}

// commands returns all commands, in the order of the help.
func commands() []command {
	return []command{
		{
			name: "serve", summary: "serve; the default. SSE_REDIS_URL says from which Redis", variables: true,
			about: `Serve until SIGTERM or SIGINT. SSE_REDIS_URL and who may subscribe (SSE_PUBLIC_CHANNELS, a
key for tokens, or SSE_AUTH_URL) have to be set.`,
			run: func(ctx, force context.Context, p program) error { return runServing(ctx, force, p, serve, false) },
		},
		{
			name: "dev", summary: "everything in one process, to try it: a Redis in memory, all channels\npublic, the console page, a demo channel", variables: true,
			about: `Everything in one process, to try it: a Redis in memory (unless SSE_REDIS_URL names one), all
channels public, the console page, from which one can publish, and a demo channel. Not for production.`,
			run: func(ctx, force context.Context, p program) error { return runServing(ctx, force, p, dev, true) },
		},
		{
			name: "check", summary: "validate the configuration and look at Redis once: exit 0 or 2", variables: true,
			about: `Validate the configuration with its key files and certificates, print it as it counts (secrets
masked), and look at Redis once: product and version, CLIENT TRACKING, rights. Exit 0 if all is good, else 2
with a line for each mistake. Nothing is listened on.`,
			run: func(ctx, force context.Context, p program) error {
				return runServing(ctx, force, p, func(ctx, _ context.Context, cfg *config.Config, p program) error { return check(ctx, cfg, p) }, false)
			},
		},
		{
			name: "help", summary: "this text; sse-gateway help COMMAND is that of a command",
			run: func(_, _ context.Context, p program) error { return printHelp(p.out) },
		},
		{
			name: "version", summary: "the build",
			run: func(_, _ context.Context, p program) error {
				_, err := fmt.Fprintln(p.out, versionLine())
				return err
			},
		},
		{
			name: "healthcheck", summary: "exit 0 if the gateway on this machine is healthy",
			about: `Ask /healthz on the admin listener of this machine (SSE_ADMIN_ADDR): exit 0 if the gateway is
healthy, 1 if it is not or does not answer within 2 s. For containers that have no other program to ask with.`,
			run: func(ctx, _ context.Context, _ program) error { return healthcheck(ctx) },
		},
	}
}

func runServing(ctx, force context.Context, p program, serve func(ctx, force context.Context, cfg *config.Config, p program) error, dev bool) error {
	cfg, err := config.Load(dev)
	if err != nil {
		return usageError{err}
	}
	return serve(ctx, force, cfg, p)
}

// helpFlags and versionFlags are what people type instead of the commands.
var (
	helpFlags    = []string{"-h", "-help", "--help"}
	versionFlags = []string{"-v", "-version", "--version"}
)

// run does what the command line says, until ctx ends and the streams are
// drained, or until force ends.
func run(ctx, force context.Context, args []string, p program) error {
	name := "serve"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch {
	case slices.Contains(helpFlags, name):
		name = "help"
	case slices.Contains(versionFlags, name):
		name = "version"
	}
	all := commands()
	find := func(name string) (command, error) {
		i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
		if i < 0 {
			return command{}, usageError{fmt.Errorf("unknown command %q; commands are %s", name, commandNames(all))}
		}
		return all[i], nil
	}
	cmd, err := find(name)
	switch {
	case err != nil:
		return err
	case len(args) == 0:
		return cmd.run(ctx, force, p)
	case len(args) == 1 && slices.Contains(helpFlags, args[0]):
		return printCommandHelp(p.out, cmd)
	case len(args) == 1 && name == "help":
		if cmd, err = find(args[0]); err != nil {
			return err
		}
		return printCommandHelp(p.out, cmd)
	}
	return usageError{fmt.Errorf("unexpected argument %q; see sse-gateway %s -h", args[0], name)}
}

func commandNames(all []command) string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// printCommandHelp prints the help of one command.
func printCommandHelp(w io.Writer, c command) error {
	if c.name == "help" {
		return printHelp(w)
	}
	about := c.about
	if about == "" {
		about = "Print " + c.summary + "."
	}
	fmt.Fprintf(w, "sse-gateway %s\n\n%s", c.name, wrap(about, "", helpColumns))
	if c.variables {
		printEnds(w)
		printVariables(w)
	}
	return nil
}
