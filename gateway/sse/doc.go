// Package sse turns stream entries and positions into bytes of an event stream.
// Its functions are pure: no I/O, no clock, no metrics. All of them may be
// called concurrently.
//
// The format is the one of the HTML standard:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
//
//   - Encoder makes the frame of a stream entry, which the store keeps. The frame
//     begins with its id line, so that a connection to several channels can put
//     its own id line in front of the shared body.
//   - AppendEnvelope wraps the body of a frame into one JSON object.
//   - AppendID, AppendPosition and ParsePosition write and read where a client is.
//   - AppendRetry, AppendReady, AppendGap, AppendStalled and AppendLive write the
//     gateway's own frames, whose names begin with "gateway.".
package sse
