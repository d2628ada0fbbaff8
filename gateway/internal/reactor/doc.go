// Package reactor watches many sockets and deadlines for one goroutine. It knows
// nothing of what it watches for.
//
//   - A Reactor has a Slot for each owner, a value of type T. A slot is an index
//     into a dense table: it costs 32 bytes, and a table of one reactor does not
//     grow with the descriptors of another.
//   - A slot may be watched: an epoll instance reports that its socket has
//     something to read or, after WatchWrites, room. An event carries the slot and its generation, so that an
//     event of an owner that was removed is never taken for the next owner's.
//   - A slot may be scheduled: a hashed timer wheel reports that a time has come.
//   - DetachFD takes the descriptor out of a net.Conn, with all the memory that
//     net.Conn keeps, and WrapFD makes a net.Conn of it again. ReadNonblock and
//     WriteNonblock use a detached descriptor.
//   - PeerProgress tells how much of what was written has been acknowledged.
//
// Times are nanoseconds of the monotonic clock, as Nanos returns them. Setting the
// wall clock makes nothing late and nothing early.
//
// A Reactor's methods are called by one goroutine at a time. The functions may be
// called concurrently.
package reactor
