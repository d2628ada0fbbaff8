//go:build !linux

package main

import "errors"

// readProc needs /proc, which only Linux has.
func readProc(pids []int) (procStat, error) {
	if len(pids) == 0 {
		return procStat{}, nil
	}
	return procStat{}, errors.New("-pids works only on Linux")
}

// ownCPU is not known on this system.
func ownCPU() float64 { return 0 }

// fileLimit is not known on this system.
func fileLimit() int { return 1 << 30 }
