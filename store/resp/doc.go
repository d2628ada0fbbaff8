// Package resp speaks the Redis protocol on one connection: RESP3, and RESP2
// with servers that know no other.
//
// A Parser pushes the elements of a reply into a Sink as the bytes arrive. It
// holds no more of a reply than its Sink asks for, so what a server announces
// or sends cannot take memory that nobody granted.
//
// A Conn sends commands and takes their replies in order. RESP3 servers also
// send pushes, which no command asked for, such as the invalidation of a
// tracked key. They go to a Sink of their own whenever they arrive, while a
// reply is awaited or while the connection is idle.
//
// The package knows nothing of streams, and does not dial.
// See https://redis.io/docs/latest/develop/reference/protocol-spec/.
package resp
