package revocation

import (
	"crypto/sha256"
	"math"
	"time"
)

// Key stands for a subject or a token's id. The zero Key stands for none.
type Key [16]byte

// SubjectKey returns the key of a subject (sub).
func SubjectKey(sub string) Key { return keyOf("sub", sub) }

// TokenKey returns the key of a token's id (jti).
func TokenKey(jti string) Key { return keyOf("jti", jti) }

// keyOf hashes, so that a key has the same size whatever it stands for, and that
// nobody can choose two values with the same key.
func keyOf(kind, value string) Key {
	if value == "" {
		return Key{}
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + value))
	return Key(sum[:len(Key{})])
}

// Identity is what a grant can be revoked by. The zero Identity cannot be.
type Identity struct {
	Subject Key
	Token   Key
	// since tells which revocations of the subject came later: for a token the
	// last millisecond at which it may have been issued (Unix), for an answer of
	// the application the number of revocations that were known when it was asked.
	since    int64
	answered bool
}

// OfToken returns the identity of a token. iat is the claim, in seconds; ok tells
// whether there is one.
func OfToken(sub, jti string, iat float64, ok bool) Identity {
	id := Identity{Subject: SubjectKey(sub), Token: TokenKey(jti), since: math.MinInt64}
	if ok {
		if iat == math.Trunc(iat) {
			iat += 0.999 // issued at any time of the second
		}
		id.since = int64(math.Min(iat*1000, math.MaxInt64/2))
	}
	return id
}

// OfAnswer returns the identity of an answer of the application that named a
// subject. asked is what [List.Count] returned when it was asked.
func OfAnswer(sub string, asked int64) Identity {
	return Identity{Subject: SubjectKey(sub), since: asked, answered: true}
}

// None reports whether nothing can revoke the grant.
func (id Identity) None() bool { return id.Subject == Key{} && id.Token == Key{} }

// A Revocation is what an entry of the stream says.
type Revocation struct {
	Subject, Token Key // one of them or both
	At             time.Time
	Until          time.Time
}
