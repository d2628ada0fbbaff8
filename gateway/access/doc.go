// Package access decides who may subscribe to which channel, and from where.
//
// # The decision
//
// [Authorizer.Authorize] applies the first rule that fits:
//
//  1. Tokens are configured and the request presents one: the token decides
//     alone. A bad token is 401, also for public channels; it never falls back
//     to anonymous access or to forward authentication. A good token opens the
//     public channels and those that its claim names; any other is 403. The
//     stream ends at the token's exp.
//  2. Every channel is public: allowed, nobody is asked, whatever cookies the
//     request carries. Public channels do not depend on the application.
//  3. Forward authentication is configured: the application is asked about the
//     channels that are not public.
//  4. Tokens are configured: 401, a token is needed.
//  5. Otherwise 403: nothing can ever allow the channel.
//
// # What a token is
//
// Three places are read: Authorization with the scheme Bearer (in any case),
// the cookie that SSE_JWT_COOKIE names, and the query parameter that
// SSE_JWT_QUERY_PARAM names. Authorization with another scheme is not a token,
// so a proxy's Basic authentication does not get in the way. "Bearer" with
// nothing behind it and an empty query parameter are bad tokens; an empty
// cookie is no token, because that is how applications log a user out. The same
// token in several places is fine, two different ones are 401. Without a key
// no token is looked for.
//
// A file may hold up to 16 keys, all of which are good: for a rotation, add the
// new key, sign with it, and take the old one out when its last token has
// expired. The file is read every second; a change counts once two readings in a
// row found the same, or at SIGHUP. A file that is broken or missing leaves the
// keys as they were. A key that is taken out refuses new requests; streams that
// are open go on until exp.
//
// The algorithm is fixed by the key: a secret takes HS256, HS384 and HS512; an
// RSA key RS* and PS*; an EC key the ES of its curve; an Ed25519 key EdDSA. exp
// is required and has no leeway, because the stream ends at exp too; nbf and
// iat have [leeway], for clocks that differ. iss and aud are checked if
// configured. A token with a crit header is refused (RFC 7515, 4.1.11).
//
// The claim is an array of patterns, or one string that is one pattern. Its
// name is a key of the token as it stands ("https://example.com/channels");
// only if there is no such key does a dot lead into objects ("app.channels").
// What is not a valid pattern is skipped: it never widens access.
//
// # Revocation
//
// With SSE_REVOCATIONS a token is 401 if its sub or jti was revoked; package
// revocation has the rules. Until the revocations have been read, tokens and
// forward authentication get a passing refusal.
//
// # The question to the application
//
// GET SSE_AUTH_URL with the client's Cookie, Authorization, Origin and
// User-Agent, its address in X-Forwarded-For, the Host of its request in
// X-Forwarded-Host, how it connected (http or https) in X-Forwarded-Proto,
// X-Sse-Channels (the channels that are not public, comma-separated),
// X-Original-Uri and X-Original-Method.
// Redirects are not followed. The answers:
//
//   - 2xx allows. X-Sse-Channels-Allowed, if present, lists patterns that each
//     asked channel must match, else 403. X-Sse-Lifetime is a whole number of
//     seconds, counted from when the question was sent, after which the stream
//     ends.
//   - 401 and 403 are passed on with WWW-Authenticate, without body.
//   - Anything else, a header that cannot be understood, and a time-out are a
//     passing refusal: the client is to come again.
//
// X-Sse-Subject names the subject of the client, so that it can be revoked.
//
// Questions that are equal in everything that is sent and asked at once share
// one answer. A question that nobody waits for any more is dropped.
// SSE_AUTH_CACHE_TTL keeps allowing answers (only those) for a short time, by a
// SHA-256 of all that was sent but the gateway's own query parameters, so that
// a client that comes back at another position is still known, and one with
// another cookie, address, origin or ticket in the URL is asked about anew.
//
// # Trust boundary
//
// Everything in a request is hostile, the Host and X-Forwarded-For included. A
// token's claims count only after its signature. The application and the key
// server are trusted to decide, but not with memory or time: their answers are
// bounded in both.
//
// Nothing that this package logs or returns, errors included, holds a token, a
// secret, a cookie, or the query of a URL.
package access
