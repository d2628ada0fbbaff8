package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// testKeys are made once, because RSA keys take their time.
var testKeys struct {
	secret           []byte
	rsa, rsa2        *rsa.PrivateKey
	rsa1024          *rsa.PrivateKey
	p224, p256, p384 *ecdsa.PrivateKey
	p521             *ecdsa.PrivateKey
	ed               ed25519.PrivateKey
}

func TestMain(m *testing.M) {
	// A key that is too small is made on purpose.
	if err := os.Setenv("GODEBUG", "rsa1024min=0"); err != nil {
		panic(err)
	}
	testKeys.secret = []byte("a-shared-secret-of-more-than-32-bytes")
	testKeys.rsa = must(rsa.GenerateKey(rand.Reader, 2048))
	testKeys.rsa2 = must(rsa.GenerateKey(rand.Reader, 2048))
	testKeys.rsa1024 = must(rsa.GenerateKey(rand.Reader, 1024))
	testKeys.p224 = must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	testKeys.p256 = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	testKeys.p384 = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	testKeys.p521 = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, testKeys.ed, _ = ed25519.GenerateKey(rand.Reader)
	os.Exit(m.Run())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func blockPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return blockPEM("PUBLIC KEY", der)
}

func pkcs1PEM() string {
	return blockPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&testKeys.rsa.PublicKey))
}

func privatePEM(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(testKeys.p256)
	if err != nil {
		t.Fatal(err)
	}
	return blockPEM("PRIVATE KEY", der)
}

func certificatePEM(t testing.TB) string {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, testKeys.ed.Public(), testKeys.ed)
	if err != nil {
		t.Fatal(err)
	}
	return blockPEM("CERTIFICATE", der)
}

// claims are good claims, with changes; a nil value takes a claim away.
func claims(changes ...any) jwt.MapClaims {
	c := jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix(), "channels": []string{"orders:*"}}
	for i := 0; i < len(changes); i += 2 {
		name := changes[i].(string)
		if changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

// sign makes a token; header holds changes as claims does.
func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.Claims, header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i].(string)] = header[i+1]
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signHS signs with the secret that most tests configure.
func signHS(t testing.TB, c jwt.Claims, header ...any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, testKeys.secret, c, header...)
}

// rawToken signs any header and claims bytes with HS256.
func rawToken(t testing.TB, header, body string) string {
	t.Helper()
	text := b64(header) + "." + b64(body)
	sig, err := jwt.SigningMethodHS256.Sign(text, testKeys.secret)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(string(sig))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// jwk writes a public key as a JWK, with more members.
func jwk(t testing.TB, key crypto.PublicKey, more ...string) map[string]any {
	t.Helper()
	enc := base64.RawURLEncoding
	m := map[string]any{}
	switch k := key.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", enc.EncodeToString(k.N.Bytes()), enc.EncodeToString(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		b, err := k.Bytes() // 4, x, y
		if err != nil {
			t.Fatal(err)
		}
		n := (len(b) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Curve.Params().Name, enc.EncodeToString(b[1:1+n]), enc.EncodeToString(b[1+n:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", enc.EncodeToString(k)
	default:
		t.Fatalf("no JWK for %T", key)
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func jwksJSON(t testing.TB, keys ...map[string]any) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// flip changes one bit of a token's signature.
func flip(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	c := byte('A')
	if token[i] == 'A' {
		c = 'B'
	}
	return token[:i] + string(c) + token[i+1:]
}

// loose sets a bit of a token's last character that stands for nothing: a
// signature of 32 bytes leaves two.
func loose(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])|1])
}
