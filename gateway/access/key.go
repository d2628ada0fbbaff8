package access

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// minSecret is the size of the smallest hash, RFC 7518, section 3.2.
	minSecret = 32 // bytes
	// minRSA is the smallest RSA key, RFC 7518, section 3.3.
	minRSA = 2048 // bits
	// maxKeyFile bounds what is read of a file that may be the wrong one.
	maxKeyFile = 64 << 10 // bytes
)

// The algorithms of each kind of key. A token's own alg is only ever compared
// with the list of the key, so it cannot choose how the key is used.
var (
	algsSecret  = []string{"HS256", "HS384", "HS512"}
	algsRSA     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	algsP256    = []string{"ES256"}
	algsP384    = []string{"ES384"}
	algsP521    = []string{"ES512"}
	algsEd25519 = []string{"EdDSA"}
	algsPublic  = slices.Concat(algsRSA, algsP256, algsP384, algsP521, algsEd25519)
)

// algsOf returns the algorithms that a key is good for; none if it is of a kind
// or size that is not accepted.
func algsOf(key any) []string {
	switch k := key.(type) {
	case []byte:
		if len(k) >= minSecret {
			return algsSecret
		}
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return algsRSA
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().Name {
		case "P-256":
			return algsP256
		case "P-384":
			return algsP384
		case "P-521":
			return algsP521
		}
	case ed25519.PublicKey:
		return algsEd25519
	}
	return nil
}

// A keyFunc finds the key, or the jwt.VerificationKeySet, that a token's
// signature is to be checked with. It may be called concurrently. The error is
// errKeysUnavailable if it cannot be told now.
type keyFunc func(ctx context.Context, t *jwt.Token) (any, error)

// errNoKey means that there is no key for the token's alg and kid.
var errNoKey = errors.New("no key fits the token")

// staticKey checks every token with one key.
func staticKey(key any) keyFunc {
	algs := algsOf(key)
	return func(_ context.Context, t *jwt.Token) (any, error) {
		if !slices.Contains(algs, t.Method.Alg()) {
			return nil, errNoKey
		}
		return key, nil
	}
}

// loadKey reads the key that SSE_JWT_SECRET, SSE_JWT_SECRET_FILE or
// SSE_JWT_PUBLIC_KEY_FILE names.
func loadKey(c Config) (any, error) {
	switch {
	case c.JWTSecret != "":
		return checkSecret("SSE_JWT_SECRET", masked, []byte(c.JWTSecret))
	case c.JWTSecretFile != "":
		b, err := readKeyFile("SSE_JWT_SECRET_FILE", c.JWTSecretFile)
		if err != nil {
			return nil, err
		}
		// The line end that editors and echo leave is not part of the secret.
		return checkSecret("SSE_JWT_SECRET_FILE", c.JWTSecretFile, bytes.TrimRight(b, "\r\n"))
	}
	b, err := readKeyFile("SSE_JWT_PUBLIC_KEY_FILE", c.JWTPublicKeyFile)
	if err != nil {
		return nil, err
	}
	return parsePublicKey(c.JWTPublicKeyFile, b)
}

func checkSecret(name, value string, secret []byte) (any, error) {
	// A public key as a secret would let everyone sign who knows it.
	if bytes.Contains(secret, []byte("-----BEGIN ")) {
		return nil, invalid(name, value, "a shared secret, but this is PEM: for a public key set SSE_JWT_PUBLIC_KEY_FILE")
	}
	if len(secret) < minSecret {
		return nil, invalid(name, value, fmt.Sprintf("a secret of at least %d bytes; this has %d", minSecret, len(secret)))
	}
	return secret, nil
}

func readKeyFile(name, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: accepted is a file that can be read: %w", name, path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s=%q: accepted is a file that can be read: %w", name, path, err)
	}
	if len(b) > maxKeyFile {
		return nil, invalid(name, path, "a file of at most 64 KiB")
	}
	return b, nil
}

// parsePublicKey reads the one public key, or the certificate that holds it, in
// a PEM file. Errors of the parsers are not passed on: they may quote the file.
func parsePublicKey(path string, data []byte) (any, error) {
	const accepted = "a PEM file with one public key or certificate: RSA of at least 2048 bits, EC P-256, P-384 or P-521, or Ed25519"
	fail := func(found string) (any, error) {
		return nil, invalid("SSE_JWT_PUBLIC_KEY_FILE", path, accepted+"; this "+found)
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return fail("holds no PEM block")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return fail("holds several PEM blocks")
	}
	var key any
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return fail("holds a private key, which the gateway has no use for")
	default:
		return fail("holds another kind of PEM block")
	}
	if err != nil {
		return fail("cannot be parsed")
	}
	if algsOf(key) == nil {
		return fail("holds a key of another kind or size")
	}
	return key, nil
}
