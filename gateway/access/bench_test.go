package access

import (
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestPublicChannelsDoNotAllocate(t *testing.T) {
	cfg := secretConfig()
	a := newAuthorizer(t, cfg)
	r := request("/events", "Cookie", "a=b; c=d", "Authorization", "Basic dTpw")
	channels := []string{"public:1", "public:2"}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Authorize(r, channels); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchmarkAuthorize(b *testing.B, a *Authorizer, r *http.Request, channel string) {
	b.Helper()
	channels := []string{channel}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authorize(r, channels); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthorizePublic(b *testing.B) {
	benchmarkAuthorize(b, newAuthorizer(b, secretConfig()), request("/events", "Cookie", "a=b; c=d"), "public:1")
}

func BenchmarkAuthorizeHS256(b *testing.B) {
	benchmarkAuthorize(b, newAuthorizer(b, secretConfig()), bearer(signHS(b, goodClaims())), "orders:1")
}

func BenchmarkAuthorizeES256(b *testing.B) {
	a := newAuthorizer(b, Config{JWTPublicKeyFile: file(b, publicPEM(b, testKeys.p256.Public()))})
	benchmarkAuthorize(b, a, bearer(sign(b, jwt.SigningMethodES256, testKeys.p256, claims())), "orders:1")
}
