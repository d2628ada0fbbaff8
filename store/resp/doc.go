// Package resp speaks the Redis protocol on one connection: RESP3, and RESP2
// with servers that know no other.
//
// A Reader reads values element by element. It holds no more of a reply than its
// caller asks for, so what a server announces or sends cannot take memory that
// nobody granted.
//
// A Conn sends commands and takes their replies in order. RESP3 servers also
// send pushes, which no command asked for, such as the invalidation of a
// tracked key. They go to a PushFunc whenever they arrive, while a reply is
// awaited or while the connection is idle.
//
// The package knows nothing of streams, and does not dial.
// See https://redis.io/docs/latest/develop/reference/protocol-spec/.
package resp
