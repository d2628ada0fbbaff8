package main

import (
	"flag"
	"fmt"
	"strings"
)

// scenario is a preset: values for flags that the command line does not give.
type scenario struct {
	name, about string
	flags       [][2]string
}

var scenarios = []scenario{
	{"broadcast", "every subscriber on one channel", [][2]string{
		{"subscribers", "9000"}, {"channels", "1"}, {"rate", "10"}, {"duration", "20s"}}},
	{"many", "a channel for every subscriber", [][2]string{
		{"subscribers", "9000"}, {"channels", "0"}, {"rate", "1000"}, {"duration", "20s"}}},
	{"idle", "connect, stay, disconnect: the server's memory", [][2]string{
		{"subscribers", "9000"}, {"channels", "1"}, {"rate", "0"}, {"duration", "10s"}, {"after", "10s"}}},
	{"connect", "the time until everybody is connected", [][2]string{
		{"subscribers", "9000"}, {"channels", "1"}, {"rate", "0"}, {"duration", "0s"}}},
	{"storm", "all leave, miss events, and come back at once", [][2]string{
		{"subscribers", "5000"}, {"channels", "1"}, {"missed", "100"}, {"rate", "2000"},
		{"inflight", "4096"}, {"settle", "60s"}}},
	{"hot", "a busy channel: 1,000,000 deliveries/s asked for", [][2]string{
		{"subscribers", "500"}, {"channels", "1"}, {"rate", "2000"}, {"duration", "10s"}}},
}

func scenarioNames() string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// applyScenario sets the flags of a preset that are not given.
func applyScenario(fs *flag.FlagSet, name string, given map[string]bool) error {
	if name == "" {
		return nil
	}
	for _, s := range scenarios {
		if s.name != name {
			continue
		}
		for _, f := range s.flags {
			if given[f[0]] {
				continue
			}
			if err := fs.Set(f[0], f[1]); err != nil {
				return fmt.Errorf("scenario %s: -%s %s: %w", name, f[0], f[1], err)
			}
		}
		return nil
	}
	return fmt.Errorf("-scenario %q is not one of %s", name, scenarioNames())
}
