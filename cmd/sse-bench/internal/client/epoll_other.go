//go:build !linux

package client

import "errors"

// EpollSupported tells whether this system has the epoll engine.
const EpollSupported = false

func newEpollEngine(*group) (engine, error) {
	return nil, errors.ErrUnsupported
}
