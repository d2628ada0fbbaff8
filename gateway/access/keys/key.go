package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/gateway/access/fault"
)

const (
	// MinSecret is how long a secret has to be: as the smallest hash, RFC 7518,
	// section 3.2.
	MinSecret = 32 // bytes
	// minRSA is the smallest RSA key, RFC 7518, section 3.3.
	minRSA = 2048 // bits
	// MaxFile bounds what is read of a file that may be the wrong one.
	MaxFile = 64 << 10 // bytes
	// MaxFileKeys bounds how many keys of a file a bad token is tried with.
	MaxFileKeys = 16
)

// The algorithms of each kind of source. The keys of a source may change to others, but
// not from secrets to public keys, so that no token chooses how a key is used.
var (
	Secrets    = []string{"HS256", "HS384", "HS512"}
	PublicKeys = slices.Concat(algsRSA, algsP256, algsP384, algsP521, algsEd25519)
)

// The algorithms of each kind of public key. A token's own alg is only ever compared
// with the list of the key.
var (
	algsRSA     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	algsP256    = []string{"ES256"}
	algsP384    = []string{"ES384"}
	algsP521    = []string{"ES512"}
	algsEd25519 = []string{"EdDSA"}
)

// algsOf returns the algorithms that a key is good for; none if it is of a kind
// or size that is not accepted.
func algsOf(key any) []string {
	switch k := key.(type) {
	case []byte:
		if len(k) >= MinSecret {
			return Secrets
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

// fixed are keys of files and variables. All of them are good at once, so that a key
// can be replaced while tokens of the old one are still about.
type fixed []any

// OfSecret returns a source with one shared secret.
func OfSecret(secret []byte) Source { return fixed{secret} }

// Run implements Source.
func (fixed) Run(ctx context.Context) { <-ctx.Done() }

// Reload implements Source.
func (fixed) Reload() {}

// Find implements Source: the keys that fit the token's algorithm.
func (keys fixed) Find(_ context.Context, t *jwt.Token) (any, error) {
	var set jwt.VerificationKeySet
	for _, key := range keys {
		if slices.Contains(algsOf(key), t.Method.Alg()) {
			set.Keys = append(set.Keys, key)
		}
	}
	switch len(set.Keys) {
	case 0:
		return nil, ErrNone
	case 1:
		return set.Keys[0], nil
	}
	return set, nil
}

// CheckSecret reports whether bytes can be a shared secret, of a variable. value is
// what may be shown of where they are from.
func CheckSecret(name, value string, secret []byte) error {
	if len(secret) < MinSecret {
		return fault.Invalid(name, value, fmt.Sprintf("a secret of at least %d bytes; this has %d", MinSecret, len(secret)))
	}
	return checkNotPEM(name, value, secret)
}

// checkNotPEM refuses a public key as a secret: everyone who knows it could sign.
func checkNotPEM(name, value string, secret []byte) error {
	if bytes.Contains(secret, []byte("-----BEGIN ")) {
		return fault.Invalid(name, value, "a shared secret, but this is PEM: for a public key set SSE_JWT_PUBLIC_KEY_FILE")
	}
	return nil
}

// parseSecrets reads a file with one secret per line. Blank lines do not count.
func parseSecrets(path string, data []byte) (fixed, error) {
	const name = "SSE_JWT_SECRET_FILE"
	if err := checkNotPEM(name, path, data); err != nil {
		return nil, err
	}
	var keys fixed
	number := 0
	for line := range bytes.Lines(data) {
		number++
		// The line end that editors leave is not part of the secret.
		secret := bytes.TrimRight(line, "\r\n")
		switch {
		case len(secret) == 0:
		case len(secret) < MinSecret:
			return nil, fault.Invalid(name, path, fmt.Sprintf("a file with a secret of at least %d bytes on each line; line %d has %d", MinSecret, number, len(secret)))
		default:
			keys = append(keys, secret)
		}
	}
	if len(keys) == 0 || len(keys) > MaxFileKeys {
		return nil, fault.Invalid(name, path, fmt.Sprintf("a file with 1 to %d secrets, one per line; this has %d", MaxFileKeys, len(keys)))
	}
	return keys, nil
}

// readFile reads the file of a variable.
func readFile(name, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: accepted is a file that can be read: %w", name, path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s=%q: accepted is a file that can be read: %w", name, path, err)
	}
	if len(b) > MaxFile {
		return nil, fault.Invalid(name, path, "a file of at most 64 KiB")
	}
	return b, nil
}

// parsePublicKeys reads the public keys, or certificates that hold them, in a PEM
// file. Errors of the parsers are not passed on: they may quote the file.
func parsePublicKeys(path string, data []byte) (fixed, error) {
	const accepted = "a PEM file with public keys or certificates: RSA of at least 2048 bits, EC P-256, P-384 or P-521, or Ed25519"
	fail := func(format string, args ...any) (fixed, error) {
		return nil, fault.Invalid("SSE_JWT_PUBLIC_KEY_FILE", path, accepted+"; "+fmt.Sprintf(format, args...))
	}
	var keys fixed
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(data) {
		data = rest
		key, fault := publicKeyOf(block)
		if fault != "" {
			return fail("PEM block %d %s", len(keys)+1, fault)
		}
		keys = append(keys, key)
	}
	switch {
	case bytes.Contains(data, []byte("-----BEGIN ")): // of a file that is being written
		return fail("PEM block %d is cut off or damaged", len(keys)+1)
	case len(keys) == 0:
		return fail("this holds no PEM block")
	case len(keys) > MaxFileKeys:
		return fail("and at most %d of them; this has %d", MaxFileKeys, len(keys))
	}
	return keys, nil
}

// publicKeyOf returns the key in a block, or what is wrong with it.
func publicKeyOf(block *pem.Block) (key any, fault string) {
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
		return nil, "holds a private key, which the gateway has no use for"
	default:
		return nil, "is of another kind"
	}
	switch {
	case err != nil:
		return nil, "cannot be parsed"
	case algsOf(key) == nil:
		return nil, "holds a key of another kind or size"
	}
	return key, ""
}
