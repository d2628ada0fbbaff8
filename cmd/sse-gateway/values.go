package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store"
)

// list is a comma-separated list; blanks around its parts do not count.
type list []string

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *list) UnmarshalText(text []byte) error {
	s := string(text)
	*l = nil
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*l = append(*l, part)
		}
	}
	return nil
}

// size is a number of bytes.
type size int

// maxSize is the largest size that is not a slip of the unit, in bytes.
const maxSize = min(1<<40, math.MaxInt)

// acceptedSize says in words what a size may be.
var acceptedSize = fmt.Sprintf("a size from 1 byte to %dGiB: a number of bytes, or one with the unit KiB, MiB or GiB, such as 256MiB", maxSize>>30)

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *size) UnmarshalText(text []byte) error {
	s := string(text)
	unit := uint64(1)
	for suffix, u := range map[string]uint64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(rest), u
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxSize/unit {
		return errors.New("not a size")
	}
	*b = size(n * unit)
	return nil
}

// logLevel is a level by its lower-case name.
type logLevel slog.Level

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *logLevel) UnmarshalText(text []byte) error {
	s := string(text)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if s == strings.ToLower(level.String()) {
			*l = logLevel(level)
			return nil
		}
	}
	return errors.New("not a level")
}

// role is the kind of Redis server to read from.
type role string

// readReplica is the role that is not the default.
const readReplica role = "replica"

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *role) UnmarshalText(text []byte) error {
	s := string(text)
	if s != "master" && s != string(readReplica) {
		return errors.New("not a kind of server")
	}
	*r = role(s)
	return nil
}

// readiness says when the gateway is ready; see store.Readiness.
type readiness string

var readinesses = map[readiness]store.Readiness{"any": store.ReadyAny, "all": store.ReadyAll, "started": store.ReadyStarted}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *readiness) UnmarshalText(text []byte) error {
	if _, ok := readinesses[readiness(text)]; !ok {
		return errors.New("not a kind of readiness")
	}
	*r = readiness(text)
	return nil
}

// format is the form of the log.
type format string

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *format) UnmarshalText(text []byte) error {
	s := string(text)
	if s != "text" && s != "json" {
		return errors.New("not a format")
	}
	*f = format(s)
	return nil
}

// compression is the content coding of streams for clients that accept it.
type compression string

const gzipCompression compression = "gzip"

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *compression) UnmarshalText(text []byte) error {
	s := string(text)
	if s != "off" && s != string(gzipCompression) {
		return errors.New("not a content coding")
	}
	*c = compression(s)
	return nil
}

// gzipShare is the part of SSE_WINDOW_MEMORY, 1/gzipShare, that is for compressed
// events: most become three or four times smaller.
const gzipShare = 4

// memory divides SSE_WINDOW_MEMORY between events and compressed events, in bytes.
func (c *config) memory() (window, compressed int) {
	if c.Compression != gzipCompression {
		return int(c.WindowMemory), 0
	}
	compressed = max(int(c.WindowMemory)/gzipShare, 1)
	return max(int(c.WindowMemory)-compressed, 1), compressed
}
