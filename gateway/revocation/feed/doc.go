// Package feed keeps a list of revocations as their Redis stream has it.
//
// Invariant: [Follower.Ready] reports true only if the list has all that the stream had
// at some time since Redis was last known to be away. So a replica that was cut off,
// or has just started, is not ready before it has read what it missed.
//
// The stream is a channel of package store like any other, gateway.revocations, which
// no client can subscribe to. For example, the entry
//
//	XADD sse:gateway.revocations * sub user-17
//
// revokes the tokens of user-17 that were issued before it; package revocation has the
// rules.
package feed
