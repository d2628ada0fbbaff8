// Package pattern has the names of channels and the globs that cover them.
package pattern

import (
	"fmt"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/access/fault"
)

const (
	// MaxChannel is the longest channel name, in bytes; it is part of the
	// public contract.
	MaxChannel = 200
	// maxPattern is the longest pattern, in bytes. Longer than a channel,
	// because a star may stand for nothing. It bounds the work of a match.
	maxPattern = 256
)

// patternRule tells in errors what a pattern may be.
const patternRule = "1 to 256 of A-Z a-z 0-9 _ . : / { } - and the wildcards * (within one segment between colons) and ** (anything)"

// Set is a set of channel patterns. The zero value matches nothing. It
// may be used concurrently.
type Set struct {
	list []pattern
}

// pattern is one valid pattern.
type pattern struct {
	text string
	star int // index of the first star, -1 if there is none
}

// Parse compiles patterns. Space around each is dropped.
//
// A star stands for any characters, also none, but a colon; two stars stand for
// any characters. A pattern covers the whole name: "orders" does not match
// "orders:1". The error names the first bad pattern and what is accepted.
func Parse(list []string) (Set, error) {
	var ps Set
	for _, text := range list {
		p, ok := parsePattern(text)
		if !ok {
			return Set{}, fmt.Errorf("channel pattern %q: accepted is %s", fault.Clip(text), patternRule)
		}
		ps.list = append(ps.list, p)
	}
	return ps, nil
}

// ParseValid compiles the valid patterns of a list that came from outside and
// skips the others, which can only make access narrower.
func ParseValid(list []string) Set {
	ps := Set{list: make([]pattern, 0, len(list))}
	for _, text := range list {
		if p, ok := parsePattern(text); ok {
			ps.list = append(ps.list, p)
		}
	}
	return ps
}

func parsePattern(text string) (pattern, bool) {
	text = strings.Trim(text, " \t")
	if text == "" || len(text) > maxPattern || strings.Contains(text, "***") {
		return pattern{}, false
	}
	for i := range len(text) {
		if text[i] != '*' && !channelByte(text[i]) {
			return pattern{}, false
		}
	}
	return pattern{text: text, star: strings.IndexByte(text, '*')}, true
}

// Match reports whether one of the patterns covers the channel. Its time is at
// worst the length of the channel times that of the patterns; it does not
// allocate.
func (ps Set) Match(channel string) bool {
	for _, p := range ps.list {
		if p.match(channel) {
			return true
		}
	}
	return false
}

func (p pattern) match(channel string) bool {
	if p.star < 0 {
		return channel == p.text
	}
	rest, ok := strings.CutPrefix(channel, p.text[:p.star])
	return ok && matchWild(p.text[p.star:], rest)
}

// matchWild matches s against p, which starts with a star. It follows all
// positions in p at which the part of s that was read so far can end: unlike
// backtracking, no input makes that expensive.
func matchWild(p, s string) bool {
	switch p {
	case "**":
		return true
	case "*":
		return strings.IndexByte(s, ':') < 0
	}
	var at [maxPattern + 1]bool
	at[0] = true
	skipStars(p, &at)
	for i := range len(s) {
		step(p, s[i], &at)
		skipStars(p, &at)
	}
	return at[len(p)]
}

// step moves every position over the byte c. It goes from the right, so that a
// position that was just reached is not moved again.
func step(p string, c byte, at *[maxPattern + 1]bool) {
	for j := len(p); j >= 0; j-- {
		stays := at[j] && j < len(p) && p[j] == '*' && (c != ':' || starLen(p[j:]) == 2)
		comes := j > 0 && at[j-1] && p[j-1] != '*' && p[j-1] == c
		at[j] = stays || comes
	}
}

// skipStars lets every star also stand for nothing. Only the first star of a
// pair is ever a position.
func skipStars(p string, at *[maxPattern + 1]bool) {
	for j := 0; j < len(p); j++ {
		if at[j] && p[j] == '*' {
			at[j+starLen(p[j:])] = true
		}
	}
}

// starLen is the length of the wildcard that p starts with.
func starLen(p string) int {
	if strings.HasPrefix(p, "**") {
		return 2
	}
	return 1
}

// ChannelExpression is ValidChannel as a regular expression, for the console: Go and
// JavaScript read it alike.
const ChannelExpression = `^[A-Za-z0-9_.:/{}-]{1,200}$`

// ValidChannel reports whether name is a channel name: 1 to 200 of
// A-Z a-z 0-9 _ . : / { } and -.
func ValidChannel(name string) bool {
	if name == "" || len(name) > MaxChannel {
		return false
	}
	for i := range len(name) {
		if !channelByte(name[i]) {
			return false
		}
	}
	return true
}

func channelByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '_', '.', ':', '/', '{', '}', '-':
		return true
	}
	return false
}
