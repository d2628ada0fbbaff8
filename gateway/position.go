package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/sse-gateway/sse-gateway/store"
)

// A position is where a client is in each of its channels, and the id of every
// event that it is sent. For one channel it is the id of the stream entry. For
// several it is their ids in the order of the sorted names, joined by ~, and at
// the end 6 hex digits that stand for the names, so that a position of other
// channels is not taken for one of these.
//
// Only [0-9a-f~-] occurs: browsers may ask a cross-origin server for permission
// before they send a Last-Event-ID of other characters.

const (
	// maxIDLen is the length of the longest id of a stream entry, in bytes.
	maxIDLen = len("18446744073709551615-18446744073709551615")
	// signatureLen is the length of what signature returns, in bytes.
	signatureLen = 6
)

// maxPosition returns the length of the longest position of n channels, in
// bytes: more is not looked at.
func maxPosition(n int) int {
	if n == 1 {
		return maxIDLen
	}
	return n*(maxIDLen+len("~")) + signatureLen
}

// signature returns the digits that stand for sorted channel names.
func signature(channels []string) string {
	sum := sha256.Sum256([]byte(strings.Join(channels, "\n")))
	return hex.EncodeToString(sum[:signatureLen/2])
}

// parsePosition reads a position of the sorted channels. ok is false if it is
// not one.
func parsePosition(s string, channels []string) (ids []store.ID, ok bool) {
	if len(s) > maxPosition(len(channels)) {
		return nil, false
	}
	if len(channels) > 1 {
		rest, found := strings.CutSuffix(s, "~"+signature(channels))
		if !found {
			return nil, false
		}
		s = rest
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
