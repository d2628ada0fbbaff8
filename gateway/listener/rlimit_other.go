//go:build !unix

package listener

// ConnectionLimit returns how many connections the limit of open files allows.
func ConnectionLimit() int { return unknownConnectionLimit }

// MaxFDs returns how many descriptors clients may have in all.
func MaxFDs() int { return 2 * unknownConnectionLimit }
