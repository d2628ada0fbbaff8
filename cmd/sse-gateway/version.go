package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// build tells what the binary was built from.
func build() metrics.Build {
	b := metrics.Build{Version: "devel", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Revision += "+dirty"
		}
	}
	return b
}

func versionLine() string {
	b := build()
	line := "sse-gateway " + b.Version
	if b.Revision != "" {
		line += " (" + b.Revision + ")"
	}
	return fmt.Sprintf("%s %s %s/%s", line, b.GoVersion, runtime.GOOS, runtime.GOARCH)
}
