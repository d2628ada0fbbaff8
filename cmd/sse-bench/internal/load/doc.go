// Package load makes a run: it drives the subscribers of this process or of several
// (package client), publishes numbered events at a constant rate, and asks in the
// end who got what (package integrity). The phases of a run are in phases.go, and
// those of one that is driven from outside in steps.go.
package load
