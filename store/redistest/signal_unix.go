//go:build unix

package redistest

import (
	"os"
	"syscall"
)

// The signals that freeze a process and let it go on.
var (
	pauseSignal  os.Signal = syscall.SIGSTOP
	resumeSignal os.Signal = syscall.SIGCONT
)
