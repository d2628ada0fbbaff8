package sse

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/sse-gateway/sse-gateway/store"
)

// A position says where a client is in each of its channels. It is the id of
// every event that the client is sent. The position in one channel is the id of
// a stream entry. The position in several channels is their ids in the order of
// the sorted names, joined by ~, followed by 6 hex digits that stand for the
// names. The digits keep a position of other channels from being taken for one
// of these.
//
// A position contains only [0-9a-f~-]: a browser may send a preflight to a
// cross-origin server for a Last-Event-ID of other characters.

const (
	// maxIDLen is the length of the longest id of a stream entry, in bytes.
	maxIDLen = len("18446744073709551615-18446744073709551615")
	// signatureLen is the length of a signature, in bytes.
	signatureLen = 6
)

// maxPosition returns the length of the longest position of n channels, in
// bytes. A longer text is refused without being parsed.
func maxPosition(n int) int {
	if n == 1 {
		return maxIDLen
	}
	return n*(maxIDLen+len("~")) + signatureLen
}

// Signature returns the digits that stand for several channel names, which must
// be sorted.
func Signature(channels []string) string {
	sum := sha256.Sum256([]byte(strings.Join(channels, "\n")))
	return hex.EncodeToString(sum[:signatureLen/2])
}

// AppendID appends the id line of an event of a connection to one channel.
func AppendID(b []byte, id store.ID) []byte {
	return append(id.AppendTo(append(b, "id: "...)), '\n')
}

// AppendPosition appends the id line of an event of a connection to n channels,
// which have the signature. position returns where the client is in the i-th.
func AppendPosition(b []byte, n int, position func(i int) store.ID, signature string) []byte {
	b = append(b, "id: "...)
	for i := range n {
		b = append(position(i).AppendTo(b), '~')
	}
	return append(append(b, signature...), '\n')
}

// ParsePosition reads a position in the channels, which must be sorted. The
// position in one channel may be written as Redis itself allows, without its
// sequence number: 1700000000000 is 1700000000000-0. ok is false if s is not a
// position in these channels.
func ParsePosition(s string, channels []string) (ids []store.ID, ok bool) {
	if len(s) > maxPosition(len(channels)) {
		return nil, false
	}
	if len(channels) > 1 {
		rest, found := strings.CutSuffix(s, "~"+Signature(channels))
		if !found {
			return nil, false
		}
		s = rest
	}
	if len(channels) == 1 && !strings.Contains(s, "-") {
		s += "-0"
	}
	parts := strings.Split(s, "~")
	if len(parts) != len(channels) {
		return nil, false
	}
	ids = make([]store.ID, len(parts))
	for i, p := range parts {
		id, err := store.ParseID(p)
		if err != nil {
			return nil, false
		}
		ids[i] = id
	}
	return ids, true
}
