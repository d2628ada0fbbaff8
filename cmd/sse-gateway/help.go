package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
)

// helpColumns is how wide the help is, in characters.
const helpColumns = 100

func printHelp(w io.Writer) error {
	fmt.Fprint(w, "sse-gateway serves Redis Streams to browsers as Server-Sent Events.\n\n")
	for _, c := range commands() {
		indent := "\n" + strings.Repeat(" ", 29)
		fmt.Fprintf(w, "  sse-gateway %-15s%s\n", c.name, strings.ReplaceAll(c.summary, "\n", indent))
	}
	fmt.Fprint(w, `
Each command has a help of its own: sse-gateway COMMAND -h.

Publish:    redis-cli XADD sse:orders '*' data hello
Subscribe:  curl -N 'http://127.0.0.1:8080/events?channel=orders'
`)
	printEnds(w)
	printVariables(w)
	return nil
}

// printEnds says how a process ends.
func printEnds(w io.Writer) {
	fmt.Fprint(w, `
Exit codes
  0  it stopped in order, or did what it was asked to
  1  something failed
  2  the command line or the configuration is wrong: each mistake is a line on standard error

Signals
  SIGTERM, SIGINT  drain: not ready for SSE_DRAIN_DELAY, then end the streams over SSE_DRAIN_WINDOW;
                   a second one ends the process at once
  SIGHUP           read keys for tokens and certificates again; never ends the process
`)
}

// printVariables prints the variables by group.
func printVariables(w io.Writer) {
	fmt.Fprint(w, "\nConfiguration is by environment variables. One that is empty counts as unset.\n")
	group := ""
	for _, v := range config.Variables() {
		if v.Group != group {
			group = v.Group
			fmt.Fprintf(w, "\n%s\n\n", group)
		}
		fmt.Fprintf(w, "%s  %s, default %s\n%s", v.Name, v.Kind, v.Default(), wrap(v.Meaning, "    ", helpColumns))
	}
}

// wrap returns text in lines of at most columns characters, each with indent
// before it. A word that is longer has a line of its own.
func wrap(text, indent string, columns int) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		switch n := utf8.RuneCountInString(line) + 1 + utf8.RuneCountInString(word); {
		case line == indent:
			line += word
		case n > columns:
			b.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	b.WriteString(line + "\n")
	return b.String()
}
