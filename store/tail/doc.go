// Package tail follows streams: a Node is one Redis server with the channels
// that it serves, and a Source is one of these channels, whose log it keeps up
// to date.
//
// Every read of a key over a session's connection arms CLIENT TRACKING for the
// key, atomically with the read: the next change of the key is pushed to the same
// connection, once. So the life of an event is: push, XRANGE, reply, log, wakers.
// One goroutine does all of it. A server without CLIENT TRACKING is polled: every
// source is read at an interval. The same read is the safety net of a server that
// has it, at a longer interval, the sweep.
//
// # Invariants
//
//   - A source whose stream may hold more than its log is in a queue of its
//     node, or in the read that is under way, or is to be retried.
//   - A source is followed by one node at most. What another one has read
//     meanwhile is thrown away or, where both read at once, is an append to the
//     same head, of which the log takes one.
//   - The log of a source changes only by reads of its node, in the order of the
//     replies.
//   - A push about a key comes after the reply that armed it, and before the
//     reply to any read that sees the change. So what a sweep finds without such
//     a push was not announced, and counts as a find.
//   - Every byte that arrives is a sign of life. A server that owes a reply and
//     sends nothing for replyTimeout has lost its session; one that has shown no
//     sign of life for StalledAfter is stalled, and its subscribers are told.
//
// # Continuity
//
// A read begins with the entry at the head of the log. Finding it again proves
// that nothing is missing; see package redisstream. An XREAD after the head would
// pass in silence over what was trimmed, and over a stream that is another one.
// Without the entry the stream and XINFO are read at one moment, and the log is
// brought up to date: by the entries, by a gap where retention was faster, or by a
// reset where the stream is another one.
//
// # Retries
//
// A session's server cannot always speak for a stream. It answers the read with an
// error: ASK or MOVED, for one, if the slot is on its way to another node of a
// cluster. Or it is a replica on which the stream seems to have lost entries, and
// may only be late. Such a source is retried, every retryInterval: it is read from
// the master, by way of a client of its own, and then from the session's server
// again, until that one can speak for it. No gap of a replica is reported before
// the master has it too. A read by way of the master arms no tracking, so it cannot
// end the retries.
package tail
