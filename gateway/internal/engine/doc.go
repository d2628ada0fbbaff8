// Package engine delivers cursors to connections. It knows HTTP only as far as a
// response that has to be written; who may have which stream is decided before.
//
// # The way of an event
//
// The store announces that a channel has something new by Topic.Wake. An Engine
// divides its streams among shards, one per processor. A shard has one store
// subscription per channel, a topic, however many of its streams are subscribed,
// so the tail of the store wakes a handful of shards and not thousands of streams.
// If few streams are concerned, the goroutine of the tail serves them itself: to
// wake another goroutine would take longer than the writes.
//
// Streams that stand at one place of a channel get one broadcast: the window is
// read once, and each HTTP framing of the batch is made once.
//
// # Who owns a stream
//
// A stream has one owner at any time:
//
//   - While it is parked, whoever holds the loopMu of its shard. It has a slot in
//     the shard's reactor, no goroutine and no buffer, and is written to without
//     blocking (flushNonblocking).
//   - Otherwise the goroutine that runs its writeLoop, which blocks in writes and
//     in reads of history. A parked stream gets one when its socket is full or its
//     client is behind the window, and is parked again once it is up to date. TLS
//     and HTTP/2 streams keep theirs.
//
// Both call step, which decides what is written next.
//
// # When a stream ends
//
// lifetime says when a stream must end by itself. Stream.end asks its owner to end
// it. The owner writes a closing frame and, if the body is chunked, the last
// chunk, for which a client has closeGrace. Whether a client still takes what is
// written to it is looked at by the shard, on its timer wheel, for all streams
// alike: see progress.
package engine
