// Package lifetime says when something must end by itself, and why.
package lifetime
