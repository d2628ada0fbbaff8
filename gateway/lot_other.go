//go:build !linux

package gateway

import (
	"errors"
	"net"
	"time"
)

// canPark tells that streams cannot be parked on this system: each has a
// goroutine.
const canPark = false

// lot has no places here.
type lot struct{}

type parked struct {
	in   bool // never
	fd   int32
	due  int64
	beat int64

	prev, next *stream
}

func newLot(*Gateway) *lot               { return nil }
func (*lot) open()                       {}
func (*lot) ready() <-chan []struct{}    { return nil }
func (*lot) handle([]struct{})           {}
func (*lot) close()                      {}
func (*lot) advance(time.Time)           {}
func (*lot) park(s *stream)              { go s.g.driveFD(s, nil, false) }
func (*lot) pump(*stream)                {}
func (*lot) send(*stream, *shared)       {}
func detach(net.Conn) (int32, bool)      { return -1, false }
func attach(int32) (net.Conn, error)     { return nil, errors.ErrUnsupported }
func writeFD(int32, []byte) (int, error) { return 0, errors.ErrUnsupported }
func closeFD(int32)                      {}
