package main

import (
	"io"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is short, since a token cannot be withdrawn; the client fetches
// another one when the stream ends with it.
const tokenLife = 5 * time.Minute

// tokens hands out permission to subscribe for as long as life, signed with the secret
// that the gateway has as SSE_JWT_SECRET. A real application looks at its session here:
// who is it, and what may they see?
func tokens(secret string, life time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if secret == "" {
			http.Error(w, "set SSE_JWT_SECRET, here and for the gateway", http.StatusNotFound)
			return
		}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"exp":      time.Now().Add(life).Unix(),
			"channels": []string{"private:demo"},
		}).SignedString([]byte(secret))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, token)
	})
}
