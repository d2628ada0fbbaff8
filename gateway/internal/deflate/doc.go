// Package deflate makes gzip streams (RFC 1952) of pieces that many streams share.
// It does no I/O.
//
// # A stream of pieces
//
// A compressor has a window of what it has seen, and its output depends on all of
// it. A compressor per client would cost hundreds of kilobytes each, and as much
// work per client as there is for all of them together. Here nothing depends on
// anything before it:
//
//	header, stored block, block, stored block, block, …, end
//
// The parts are:
//
//   - The header is the same 10 bytes for every stream.
//   - A [Block] is one event, compressed by itself, once for all clients: deflate
//     blocks (RFC 1951) that refer to nothing before them, and an empty stored block
//     (a flush), which ends on a byte and makes a client's decompressor give out all
//     that it has.
//   - Stored blocks have, as they are, a client's own bytes (its id lines, the
//     gateway's own events) and events that are too small to gain. See [OpenStored].
//     What is written at once ends with a flush, too.
//   - The end is an empty last block and the trailer.
//
// Every piece begins and ends on a byte, so any piece may follow any other.
//
// No event's compression depends on another event. So the length of what a client is
// sent does not tell whether a secret in one event resembles the text of another,
// which is how CRIME and BREACH guess secrets.
//
// # The trailer
//
// The trailer has the checksum and the length of all that a stream was sent: 8 bytes
// per stream, a [Sum]. The CRC of two parts follows from the CRCs of the parts and
// the length of the second ([Sum.Join]), so a stream does not look at the bytes that
// it shares with others.
//
// # Memory
//
// A [Cache] holds the blocks of the bodies that are in memory elsewhere, up to a
// number of bytes.
package deflate
