package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

// variable is one line of the table of variables.
type variable struct {
	name       string
	field      string // of config
	kind       string
	value      string // default
	shown      string // what the table says instead of it, "" for itself
	devDefault string // "" if it is the same
	meaning    string
}

// variables returns the variables in the order of config.
func variables() []variable {
	t := reflect.TypeFor[config]()
	vs := make([]variable, 0, t.NumField())
	names := variableNames()
	for i := range t.NumField() {
		f := t.Field(i)
		vs = append(vs, variable{
			name: names[i], field: f.Name, kind: kindOf(f.Type), value: f.Tag.Get("default"),
			shown: f.Tag.Get("shown"), devDefault: f.Tag.Get("dev"), meaning: f.Tag.Get("desc"),
		})
	}
	return vs
}

// variableNames returns the names as envconfig makes them, so that the table
// cannot differ from what is read.
func variableNames() []string {
	var b strings.Builder
	if err := envconfig.Usagef(prefix, &config{}, &b, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		panic(err) // the template is constant
	}
	return strings.Fields(b.String())
}

func kindOf(t reflect.Type) string {
	switch t.Name() {
	case "Duration":
		return "duration"
	case "list":
		return "list"
	case "size":
		return "size"
	case "Secret":
		return "secret"
	case "logLevel", "format", "role":
		return "word"
	case "int":
		return "number"
	}
	return t.Name()
}

// defaultText is the default as the table shows it.
func (v variable) defaultText() string {
	text := v.value
	if v.shown != "" {
		text = v.shown
	}
	if text == "" {
		text = "none"
	}
	if v.devDefault != "" {
		text += " (dev: " + v.devDefault + ")"
	}
	return text
}

func printHelp(w io.Writer) error {
	fmt.Fprint(w, `sse-gateway serves Redis Streams to browsers as Server-Sent Events.

  sse-gateway              serve; SSE_REDIS_URL says from which Redis
  sse-gateway dev          everything in one process, to try it: a Redis in memory,
                           all channels public, the console page, a demo channel
  sse-gateway help         this text
  sse-gateway version      the build
  sse-gateway healthcheck  exit 0 if the gateway on this machine is healthy

Publish:    redis-cli XADD sse:orders '*' data hello
Subscribe:  curl -N http://127.0.0.1:8080/events?channel=orders

Configuration is by environment variables:

`)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "VARIABLE\tTYPE\tDEFAULT\tMEANING")
	for _, v := range variables() {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", v.name, v.kind, v.defaultText(), v.meaning)
	}
	return tw.Flush()
}

// serviceVariable matches the names of the variables that Kubernetes sets in
// every pod for a service named sse or sse-…, but for the one below.
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)
var serviceVariable = regexp.MustCompile(`^` + prefix + `(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isOfService reports whether a variable is one of a service: …_PORT is so only
// with a value such as tcp://10.0.0.1:80.
func isOfService(name, value string) bool {
	return serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// unknownVariables returns the variables that begin with the prefix and mean
// nothing. Those of a service are not meant for the gateway.
func unknownVariables() []string {
	known := make(map[string]bool)
	for _, name := range variableNames() {
		known[name] = true
	}
	var unknown []string
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, prefix+"_") && !known[name] && !isOfService(name, value) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
