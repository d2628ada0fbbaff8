package access

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// masked stands for a secret wherever one would be printed.
const masked = "***"

// Secret is a string that is never printed: fmt with any verb, slog and JSON
// show "***", or nothing if it is empty. A conversion to string gets the value.
type Secret string

// String returns "***", or nothing if the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// Format prints the masked value for every verb, %x and %#v included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what JSON and other encodings get.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// maskURL returns a URL for messages: without user, password and query, which
// may hold secrets. What is not a URL is masked as a whole.
func maskURL(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return masked
	}
	if u.User != nil {
		u.User = url.User("xxx")
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxx"
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}

// MaskURL returns a URL as it may be shown: without user, password and query.
func MaskURL(raw string) string { return maskURL(raw) }
