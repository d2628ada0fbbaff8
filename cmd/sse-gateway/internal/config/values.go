package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseList returns the parts of a comma-separated list; blanks around them do not
// count.
func parseList(s string) (list []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// size is a number of bytes.
type size int

// maxSize is the largest size that is not a slip of the unit, in bytes.
const maxSize = min(1<<40, math.MaxInt)

// acceptedSize says in words what a size may be.
var acceptedSize = fmt.Sprintf("a size from 1 byte to %dGiB: a number of bytes, or one with the unit KiB, MiB or GiB, such as 256MiB", maxSize>>30)

// parseSize reads a size.
func parseSize(s string) (size, error) {
	unit := uint64(1)
	for suffix, u := range map[string]uint64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(rest), u
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxSize/unit {
		return 0, errors.New("not a size")
	}
	return size(n * unit), nil
}

// oneOf lists words as a sentence does.
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// gzipShare is the part of SSE_WINDOW_MEMORY, 1/gzipShare, that is for compressed
// events: most become three or four times smaller.
const gzipShare = 4

// Memory divides SSE_WINDOW_MEMORY between events and compressed events, in bytes.
func (c *Config) Memory() (window, compressed int) {
	if c.Compression != "gzip" {
		return int(c.WindowMemory), 0
	}
	compressed = max(int(c.WindowMemory)/gzipShare, 1)
	return max(int(c.WindowMemory)-compressed, 1), compressed
}
