// Package revocation knows which subjects and tokens have been signed out, and
// ends their streams.
//
// A revocation is an entry of the Redis stream <prefix>gateway.revocations:
//
//	XADD sse:gateway.revocations '*' sub user-17
//	XADD sse:gateway.revocations '*' jti 5f1c until 1795236000
//
// sub revokes what the subject was granted before the entry, jti one token.
// until, in Unix seconds, is when the revocation ends; without it that is 24 h
// after the entry. An entry may name both a sub and a jti. Entries without either,
// or whose until is not a time after the entry, are ignored and logged.
//
// # Which grants a sub revokes
//
// A token is revoked if it was issued (iat) before the entry, or does not say
// when. The clocks compared are the issuer's and Redis's. A whole iat stands for
// its whole second: a token of the same second as the entry is taken for a new
// one, because an application that revokes and signs in again within a second
// must not lock its user out. A token that was issued less than a second before
// the entry therefore survives a sub; its jti revokes it.
//
// A grant of forward authentication is revoked if the application was asked
// before this replica read the entry. No clocks are compared.
//
// # How a replica knows
//
// Package feed reads the stream from its beginning and follows it as any subscriber
// follows a channel, by a cursor of package store: a failover, a reconnect or a
// slow Redis are the store's to handle. What was read stays known although the
// stream is trimmed, deleted, or replaced by an older copy. A replica is not ready
// until it has read the whole stream, and again after Redis was away.
//
// # Bounds
//
// [List] keeps at most [MaxRevocations], by a hash of the subject, at about 100
// bytes each. Beyond that the revocation with the earliest until is dropped,
// counted and logged. The publisher bounds the stream (MAXLEN or MINID): it must
// keep a revocation until its until, or replicas that start later do not learn of
// it.
package revocation
