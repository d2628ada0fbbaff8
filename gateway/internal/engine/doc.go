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
// Streams that stand at one place of a channel get one content.Broadcast. The others
// fill a batch of their own from a content.Reader.
//
// # Who owns a stream
//
// A stream has one owner at any time:
//
//   - A stream over plain TCP, where there is epoll, has no goroutine and no buffer. It
//     is parked: its owner is whoever holds the loopMu of its shard, and its descriptor
//     is in the shard's reactor. It is written to without blocking (flushNonblocking).
//     While its socket is full, what is left of a write stays pending until the reactor
//     reports room.
//   - While a parked stream reads history, a goroutine owns it (catchUp).
//   - Any other stream (TLS, HTTP/2) has a goroutine of its own, which runs its writeLoop
//     and blocks in writes to a conn.Hijacked or conn.Response.
//
// All call step, which decides what is written next.
//
// # When a stream ends
//
// lifetime.Lifetime says when a stream must end by itself. Stream.end asks its owner to
// end it. The owner writes a closing frame and, if the body is chunked, the last chunk,
// for which a client has conn.CloseGrace. Whether a client still takes what is written to
// it is looked at by the shard, on its timer wheel, for all streams alike: see progress.
package engine
