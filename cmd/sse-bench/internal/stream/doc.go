// Package stream reads an HTTP/1.1 response of text/event-stream as it arrives, in
// whatever pieces: its head, its body without the transfer coding, its events. It
// does no I/O, starts nothing, and keeps no more of a stream than what is incomplete.
package stream
