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
//	accept → place → PROXY header → http.Server → handler
//	                                  closed ←┴→ hijacked: the stream's
//
// What is pending is over after HeadTimeout unless a request's head is there,
// and an answer that is no stream is over AnswerTimeout after it began, whether
// the client sends the rest of its body, and takes the answer, or not.
package listener
