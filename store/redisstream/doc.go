// Package redisstream knows what a Redis stream is: ids, entries, what XINFO
// STREAM tells, and the rules by which a stream that was read before is found
// to go on, to have been trimmed, to be gone, or to be another one.
//
// It reads replies, through package resp, and asks nothing: it has no
// connection, no clock and no state but that of a reply on its way.
//
// # Continuity
//
// A reader has read a stream up to an entry, the head, say 5-0, and reads on
// with XRANGE from 5-0, not after it. If the reply begins with 5-0, the stream
// is the one it was and nothing after 5-0 is missing: entries leave a stream
// from its old end, so 5-0 would have gone first. That is one atomic read, and
// almost all reads end there.
//
// If 5-0 is not in the reply, Known.Classify compares what was known with
// XINFO, read at the same moment. The server counts the entries that were ever
// added. With 9 added at the head and 12 added now, 3 followed 5-0. If the
// stream has 2 entries, 10 are gone: one of them followed 5-0, and was lost to
// retention. If only 7 were ever added, it is another stream.
package redisstream
