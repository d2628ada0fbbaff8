package listener

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"

	"github.com/pires/go-proxyproto"
)

const (
	// maxProxyV1 is the length of the longest header of version 1, in bytes.
	maxProxyV1 = 107
	// proxyV2Prefix is the length of what comes before the variable part of a
	// header of version 2, whose length its last two bytes have.
	proxyV2Prefix = 16
)

// proxyV2Signature begins a header of version 2.
var proxyV2Signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

var (
	errNoProxyHeader  = errors.New("there is no PROXY header of version 1 or 2, of at most 4 KiB")
	errTooManyPending = errors.New("its client has too many pending connections")
)

// parseProxyHeader parses the PROXY header that b begins with. n is its length
// and 0 while it is incomplete. source is the client, or nil if the proxy
// speaks for itself (a health check) or cannot say for whom.
func parseProxyHeader(b []byte) (source *net.TCPAddr, n int, err error) {
	if n, err = proxyHeaderLength(b); n == 0 || err != nil {
		return nil, 0, err
	}
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), n))
	if err != nil {
		return nil, 0, err
	}
	if header.Command.IsLocal() {
		return nil, n, nil
	}
	if from, _, ok := header.TCPAddrs(); ok {
		return from, n, nil
	}
	return nil, n, nil
}

// proxyHeaderLength returns the length of the header, and 0 while it is not
// known or the header is incomplete.
func proxyHeaderLength(b []byte) (int, error) {
	if k := min(len(b), len(proxyV2Signature)); bytes.Equal(b[:k], proxyV2Signature[:k]) {
		if len(b) < proxyV2Prefix {
			return 0, nil
		}
		n := proxyV2Prefix + int(binary.BigEndian.Uint16(b[proxyV2Prefix-2:]))
		switch {
		case n > maxHead:
			return 0, errNoProxyHeader
		case n > len(b):
			return 0, nil
		}
		return n, nil
	}
	const v1 = "PROXY "
	if k := min(len(b), len(v1)); string(b[:k]) != v1[:k] {
		return 0, errNoProxyHeader
	}
	if i := bytes.Index(b[:min(len(b), maxProxyV1)], []byte("\r\n")); i >= 0 {
		return i + 2, nil
	}
	if len(b) >= maxProxyV1 {
		return 0, errNoProxyHeader
	}
	return 0, nil
}
