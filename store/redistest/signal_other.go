//go:build !unix

package redistest

import "os"

// Without SIGSTOP there is no Pause: os.Process.Signal refuses a nil signal,
// which fails the test. The file lets the module build on such a system.
var pauseSignal, resumeSignal os.Signal
