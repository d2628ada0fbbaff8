package access

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestJWKSAlgorithms(t *testing.T) {
	leaked := jwk(t, testKeys.ed.Public(), "kid", "leaked")
	leaked["d"] = b64(string(testKeys.ed.Seed()))
	shared := map[string]any{"kty": "oct", "kid": "oct", "k": b64(string(testKeys.secret)), "alg": "HS256"}
	set := []map[string]any{
		jwk(t, testKeys.rsa.Public(), "kid", "rs256", "alg", "RS256"), jwk(t, testKeys.rsa.Public(), "kid", "rsa"),
		jwk(t, testKeys.rsa.Public(), "kid", "enc", "use", "enc"), jwk(t, testKeys.rsa1024.Public(), "kid", "small"),
		jwk(t, testKeys.p256.Public(), "kid", "p256"), jwk(t, testKeys.p256.Public(), "kid", "lies", "alg", "RS256"),
		jwk(t, testKeys.p384.Public(), "kid", "p384"), jwk(t, testKeys.ed.Public(), "kid", "ed"), shared, leaked,
	}
	s := &keyServer{}
	s.set(jwksJSON(t, set...), false)
	a, _, _ := withKeyServer(t, s)
	hmacWithPublicKey := []byte(publicPEM(t, testKeys.rsa.Public()))
	for name, tc := range map[string]struct {
		method jwt.SigningMethod
		key    any
		kid    any // nil: none
		ok     bool
	}{
		"RSA":                     {jwt.SigningMethodRS256, testKeys.rsa, "rsa", true},
		"RSA PS":                  {jwt.SigningMethodPS512, testKeys.rsa, "rsa", true},
		"RSA, alg of the key":     {jwt.SigningMethodRS256, testKeys.rsa, "rs256", true},
		"RSA, another alg":        {jwt.SigningMethodPS256, testKeys.rsa, "rs256", false},
		"RSA for encryption":      {jwt.SigningMethodRS256, testKeys.rsa, "enc", false},
		"RSA too small":           {jwt.SigningMethodRS256, testKeys.rsa1024, "small", false},
		"P-256":                   {jwt.SigningMethodES256, testKeys.p256, "p256", true},
		"P-256 with alg of RSA":   {jwt.SigningMethodES256, testKeys.p256, "lies", false},
		"P-384":                   {jwt.SigningMethodES384, testKeys.p384, "p384", true},
		"Ed25519":                 {jwt.SigningMethodEdDSA, testKeys.ed, "ed", true},
		"private key in the set":  {jwt.SigningMethodEdDSA, testKeys.ed, "leaked", false},
		"another key's id":        {jwt.SigningMethodES256, testKeys.p256, "p384", false},
		"another kind's id":       {jwt.SigningMethodES256, testKeys.p256, "rsa", false},
		"forged":                  {jwt.SigningMethodRS256, testKeys.rsa2, "rsa", false},
		"secret in the set":       {jwt.SigningMethodHS256, testKeys.secret, "oct", false},
		"secret, no id":           {jwt.SigningMethodHS256, testKeys.secret, nil, false},
		"HMAC with a public key":  {jwt.SigningMethodHS256, hmacWithPublicKey, "rsa", false},
		"none":                    {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "rsa", false},
		"no id, RSA":              {jwt.SigningMethodPS256, testKeys.rsa, nil, true},
		"no id, P-384":            {jwt.SigningMethodES384, testKeys.p384, nil, true},
		"no id, Ed25519":          {jwt.SigningMethodEdDSA, testKeys.ed, nil, true},
		"no id, not in the set":   {jwt.SigningMethodES512, testKeys.p521, nil, false},
		"no id, forged":           {jwt.SigningMethodRS256, testKeys.rsa2, nil, false},
		"id of another type":      {jwt.SigningMethodRS256, testKeys.rsa, 5, false},
		"id that is empty":        {jwt.SigningMethodRS256, testKeys.rsa, "", false},
		"id that leads elsewhere": {jwt.SigningMethodRS256, testKeys.rsa, "../../etc/passwd", false},
	} {
		t.Run(name, func(t *testing.T) {
			var header []any
			if tc.kid != nil {
				header = []any{"kid", tc.kid}
			}
			err := try(a, sign(t, tc.method, tc.key, claims(), header...))
			if tc.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, 401)
		})
	}
}

func TestJWKSAlgOfTheKeyCountsWithoutID(t *testing.T) {
	s := &keyServer{body: jwksJSON(t, jwk(t, testKeys.rsa.Public(), "alg", "RS256"))}
	a, _, _ := withKeyServer(t, s)
	if err := try(a, sign(t, jwt.SigningMethodRS256, testKeys.rsa, claims())); err != nil {
		t.Error(err)
	}
	refused(t, try(a, sign(t, jwt.SigningMethodPS256, testKeys.rsa, claims())), 401)
}
