package access

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
)

// Secret is a string that is never printed: fmt with any verb, slog and JSON
// show "***", or nothing if it is empty. A conversion to string gets the value.
type Secret string

// String returns "***", or nothing if the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return outbound.Masked
}

// Format prints the masked value for every verb, %x and %#v included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what JSON and other encodings get.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
