//go:build !linux

package main

import "errors"

// epollSupported tells whether this system has the epoll engine.
const epollSupported = false

func newEpollEngine(*group, int) (engine, error) {
	return nil, errors.ErrUnsupported
}
