package store

import "errors"

// Errors of Subscribe and Fetch.
var (
	// ErrWrongType: the channel's key holds a Redis type other than a stream.
	ErrWrongType = errors.New("the channel's key does not hold a Redis stream")
	// ErrUnavailable: Redis could not be asked. It is temporary.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrClosed: the store is closed or closing.
	ErrClosed = errors.New("the store is closed")
	// ErrStale: what Redis has is not the stream that the log has. The tail
	// finds out why, mostly within milliseconds: the stream was reset, or a
	// replica that is behind was asked.
	ErrStale = errors.New("redis has less of the stream than the window")
)
