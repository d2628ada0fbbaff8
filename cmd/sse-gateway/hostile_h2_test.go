package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// flood writes to a connection until it is closed, or up to a number of bytes,
// and returns how many were taken. It does not read.
func flood(t *testing.T, c net.Conn, limit int, next func(i int) string) (sent int, closed bool) {
	t.Helper()
	for i := 0; sent < limit; i++ {
		_ = c.SetWriteDeadline(time.Now().Add(3 * time.Second))
		n, err := io.WriteString(c, next(i))
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, false // it takes no more, which is as good
		}
		if err != nil {
			return sent, true
		}
	}
	return sent, false
}

// batchOf repeats a frame, so that a flood is not one of system calls.
func batchOf(frame string) func(int) string {
	many := strings.Repeat(frame, 1000)
	return func(int) string { return many }
}

// Floods of frames that cost their sender nothing cost the gateway no memory,
// and the others no events: it closes the connection, or leaves them with their
// sender.
func TestHostileHTTP2Floods(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startPlain(t, 0, gatewayEnv(r.URL())...)
	p.awaitReady()
	h := startHonest(t, r, p, true)
	base := p.memory("VmRSS")
	const limit = 32 << 20
	open := h2Frame(h2Headers, h2EndStream|h2EndHeaders, 1, h2Request("channel=flood"))
	for _, tt := range []struct {
		name  string
		begin string
		next  func(int) string
	}{
		{"PING", "", batchOf(h2Frame(h2Ping, 0, 0, "12345678"))},
		{"SETTINGS", "", batchOf(h2Frame(h2Settings, 0, 0, ""))},
		{"CONTINUATION", h2Frame(h2Headers, h2EndStream, 1, h2Request("channel=flood")),
			func(int) string { return h2Frame(h2Continuation, 0, 1, strings.Repeat(hpack("x-flood", "y"), 800)) }},
		{"empty CONTINUATION", h2Frame(h2Headers, h2EndStream, 1, h2Request("channel=flood")), batchOf(h2Frame(h2Continuation, 0, 1, ""))},
		{"RST_STREAM of one stream", open, batchOf(h2Frame(h2Reset, 0, 1, "\x00\x00\x00\x08"))},
		{"WINDOW_UPDATE", open, batchOf(h2Frame(h2WindowUpdate, 0, 0, "\x7f\xff\xff\xff"))},
		{"empty DATA", h2Frame(h2Headers, h2EndHeaders, 1, h2Request("channel=flood")), batchOf(h2Frame(h2Data, 0, 1, ""))},
		{"huge header", "", func(i int) string {
			return h2Frame(h2Headers, h2EndStream, uint32(2*i+1), h2Request("channel=flood", "cookie", strings.Repeat("c", 12<<10))) +
				h2Frame(h2Continuation, 0, uint32(2*i+1), hpack("x-more", strings.Repeat("c", 15<<10))) +
				h2Frame(h2Continuation, h2EndHeaders, uint32(2*i+1), hpack("x-more", strings.Repeat("c", 15<<10)))
		}},
	} {
		cs := attack(t, p.public)
		sent, closed := flood(t, cs.open(h2Preface+tt.begin), limit, tt.next)
		t.Logf("%s: after %s closed=%v, the gateway had %s at most", tt.name, mib(sent), closed, mib(p.memory("VmHWM")))
		if sent >= limit {
			t.Errorf("%s: all of %s was taken", tt.name, mib(sent))
		}
		cs.close()
	}
	if grown := p.memory("VmHWM") - base; grown > 48<<20 {
		t.Errorf("the gateway grew by %s", mib(grown))
	}
	h.requireUndisturbed()
	p.awaitMetric(10*time.Second, 1, "sse_gateway_connections")
}

// Streams that are opened and reset at once (CVE-2023-44487) hold nothing.
func TestHostileRapidReset(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_WINDOW_LINGER=1s")...)
	p.awaitReady()
	h := startHonest(t, r, p, true)
	base := p.memory("VmRSS")
	request := h2Request("channel=reset")
	// net/http runs as many handlers of a connection as it may have streams, and
	// keeps four times as many waiting before it hangs up. Half as much again is
	// garbage.
	const bound = 5 * h2Streams * 16 << 10 * 3 / 2
	total, closed := 0, 0
	for range 4 {
		cs := attack(t, p.public)
		c := cs.open(h2Preface)
		go func() { _, _ = io.Copy(io.Discard, c) }()
		stream := uint32(1)
		_, cut := flood(t, c, 4<<20, func(int) string {
			var b strings.Builder
			for range 100 {
				b.WriteString(h2Frame(h2Headers, h2EndStream|h2EndHeaders, stream, request))
				b.WriteString(h2Frame(h2Reset, 0, stream, "\x00\x00\x00\x08"))
				stream += 2
			}
			total += 100
			return b.String()
		})
		if cut {
			closed++
		}
		cs.close()
	}
	t.Logf("%d streams were opened and reset, %d of 4 connections closed for it; the gateway grew by %s at most",
		total, closed, mib(p.memory("VmHWM")-base))
	if grown := p.memory("VmHWM") - base; grown > bound {
		t.Errorf("the gateway grew by %s", mib(grown))
	}
	h.requireUndisturbed()
	p.awaitMetric(10*time.Second, 1, "sse_gateway_connections")
}

// Every subscription counts, also if one connection has them all, and with the
// connection all of them end.
func TestHostileStreamsOfOneConnection(t *testing.T) {
	t.Parallel()
	const limit = 600
	r := redistest.Start(t)
	// A load balancer may send as many and as large ones as it likes.
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_MAX_CONNECTIONS=600", "SSE_TRUSTED_PROXIES=127.0.0.1")...)
	p.awaitReady()
	base, heap := p.memory("VmRSS"), p.heap()
	cs := attack(t, p.public)
	c := cs.open(h2Preface)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	const cookie = 16 << 10 // with each, as a hostile client would have it
	for i := range limit + 300 {
		block := h2Request("channel=a", "cookie", strings.Repeat("c", cookie))
		stream := uint32(2*i + 1)
		if _, err := io.WriteString(c, h2Frame(h2Headers, h2EndStream, stream, block[:16<<10])+h2Frame(h2Continuation, h2EndHeaders, stream, block[16<<10:])); err != nil {
			t.Fatal(err)
		}
	}
	p.awaitMetric(15*time.Second, limit, "sse_gateway_connections")
	p.awaitMetric(15*time.Second, 300, "sse_gateway_refusals_total", "max_connections")
	requirePassingRefusal(t, transport(t, 1, nil), p.eventsURL("channel=a"))
	each := (p.memory("VmRSS") - base) / limit
	held := (p.heap() - heap) / limit
	t.Logf("a stream of HTTP/2 with a cookie of %d bytes: %d bytes resident, %d held", cookie, each, held)
	if each > 2*maxHeaderBytes+32<<10 || held > cookie*3/2 { // it holds about as much as the cookie has, and with the cookie twice that
		t.Errorf("a stream of HTTP/2 takes %d bytes, and holds %d", each, held)
	}
	cs.close()
	p.awaitMetric(10*time.Second, 0, "sse_gateway_connections")
	subscribe(t, transport(t, 1, nil), p.eventsURL("channel=a")).ready(t)
}

// More streams than a connection may have are refused by HTTP/2 itself.
func TestHostileConcurrentStreams(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startPlain(t, 0, gatewayEnv(r.URL())...)
	p.awaitReady()
	cs := attack(t, p.public)
	c := cs.open(h2Preface)
	go func() {
		for i := range 3 * h2Streams {
			if _, err := io.WriteString(c, h2Frame(h2Headers, h2EndStream|h2EndHeaders, uint32(2*i+1), h2Request("channel=a"))); err != nil {
				return
			}
		}
	}()
	resets := 0
	for resets == 0 {
		kind, _, payload := readH2(t, c)
		switch kind {
		case h2Reset:
			resets++
		case h2GoAway:
			t.Logf("GOAWAY %x", payload)
			resets++
		}
	}
	if n := p.metric("sse_gateway_connections"); n > h2Streams {
		t.Errorf("%v streams on one connection, want at most %d", n, h2Streams)
	}
}

// readH2 reads a frame.
func readH2(t *testing.T, c net.Conn) (kind byte, stream uint32, payload []byte) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, payload); err != nil {
		t.Fatal(err)
	}
	return head[3], binary.BigEndian.Uint32(head[5:]), payload
}
