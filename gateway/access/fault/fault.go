// Package fault makes the errors about what variables hold, all in one form.
package fault

import "fmt"

// maxShown is how much of a value an error shows, in bytes.
const maxShown = 256

// Invalid is the error for a variable: name, value and what is accepted. The value of
// a secret has to be masked.
func Invalid(name, value, accepted string) error {
	return fmt.Errorf("%s=%q: accepted is %s", name, value, accepted)
}

// Clip shortens a value for an error.
func Clip(s string) string {
	if len(s) > maxShown {
		return s[:maxShown] + "…"
	}
	return s
}
