// Package integrity judges what a subscriber got. Events carry a number per
// channel (see Payload), so a loss, a repeat and a wrong order show in the numbers
// alone. What a gateway.gap excuses is decided by what Redis still has (see
// Retained). The package does no I/O and has no clock.
package integrity
