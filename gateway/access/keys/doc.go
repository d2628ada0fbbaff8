// Package keys finds the key that the signature of a token is to be checked with.
//
// Keys come from a secret, from a file that is read again when it changes, or from a
// JWK set that is fetched. All keys of a source are good at once, so that they can be
// rotated; what is broken leaves those that are known in use. Nothing of a key is in
// an error or in the log.
package keys

import (
	"context"
	"errors"

	"github.com/golang-jwt/jwt/v5"
)

// Source is where keys come from. Find and Reload may be called concurrently.
type Source interface {
	// Find returns the key, or the jwt.VerificationKeySet, that a token's signature
	// is to be checked with. The error is ErrNone, ErrUnavailable or ctx's.
	Find(ctx context.Context, t *jwt.Token) (any, error)
	// Run keeps the keys fresh until ctx is done. It is called once; Find works
	// before it, too.
	Run(ctx context.Context)
	// Reload reads a file again at once. What cannot be used of it is logged, and
	// changes nothing.
	Reload()
}

var (
	// ErrNone means that there is no key for the token's alg and kid.
	ErrNone = errors.New("no key fits the token")
	// ErrUnavailable means that the keys are not known now, so that nothing can be
	// said about the token.
	ErrUnavailable = errors.New("the keys for tokens are not available")
)
