//go:build !linux

package reactor

import (
	"errors"
	"net"
)

// Event is never sent here.
type Event struct{}

func (Event) slot() (Slot, uint32) { return 0, 0 }

// poller does not exist here.
type poller struct{ ready chan []Event }

func newPoller() (*poller, error)                   { return nil, errors.ErrUnsupported }
func (*poller) add(int32, Slot, uint32) error       { return errors.ErrUnsupported }
func (*poller) addWrites(int32, Slot, uint32) error { return errors.ErrUnsupported }
func (*poller) remove(int32)                        {}
func (*poller) handled()                            {}
func (*poller) close()                              {}

// DetachFD takes no socket out of its connection here.
func DetachFD(net.Conn) (fd int32, ok bool) { return -1, false }

// WrapFD is not supported here.
func WrapFD(int32) (net.Conn, error) { return nil, errors.ErrUnsupported }

// WriteNonblock is not supported here.
func WriteNonblock(int32, []byte) (int, error) { return 0, errors.ErrUnsupported }

// ReadNonblock is not supported here.
func ReadNonblock(int32, []byte) (int, error) { return 0, errors.ErrUnsupported }

// CloseFD does nothing here.
func CloseFD(int32) {}

// DiscardFD does nothing here.
func DiscardFD(int32) {}

// SeesProgress tells that PeerProgress does not work here.
const SeesProgress = false

// PeerProgress is not supported here.
func PeerProgress(int32) (queued int, acked uint64, ok bool) { return 0, 0, false }
