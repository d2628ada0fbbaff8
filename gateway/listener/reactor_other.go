//go:build !linux

package listener

// startReactor reports false: there is none on this system.
func (l *Listener) startReactor() bool { return false }
