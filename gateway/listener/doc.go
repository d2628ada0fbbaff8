// Package listener guards the public port before HTTP.
//
// A [Listener] stands between the TCP listener and an http.Server. It reads the
// PROXY headers of trusted proxies, bounds the connections that are no streams
// yet (in all, and per address), limits how fast one client is read from, and
// gives every answer that is no stream a deadline.
//
// # A connection's way
//
// An accepted connection is pending until a stream is started on it or until
// it is closed. It holds a place of the limits for as long. The place is given
// back when the connection is hijacked: a stream has limits of its own.
//
//	accept4 → place → reactor ─ a plain GET ──→ worker → a stream: HijackFD
//	                     │                         └──→ an answer, replayed
//	                     └────── anything else ──────→ net/http with what was read
//
// On Linux a connection is a descriptor in a reactor until it has sent something
// that can be acted on. The head of a plain GET is parsed from memory by
// http.ReadRequest, and the handler decides, on one of a few workers, without a
// net.Conn and without net/http's buffers. What it answers instead of a stream is
// recorded and replayed through net/http, which is given the connection with the
// head. Everything else (a body, an upgrade, HTTP/2, TLS, pipelined requests, a
// head that is long or strange) goes to net/http with the bytes that were read. So
// what a client is answered is the same, byte for byte, as by net/http alone;
// TestWaysInAnswerTheSame and FuzzHandOver compare. Elsewhere net/http has every
// connection from the start.
//
// What is pending is over after HeadTimeout unless a request's head is there,
// and an answer that is no stream is over AnswerTimeout after it began, whether
// the client sends the rest of its body, and takes the answer, or not.
package listener
