package reactor

import "golang.org/x/sys/unix"

// SeesProgress tells that PeerProgress works on this system.
const SeesProgress = true

// PeerProgress returns how many bytes that were written to a TCP socket the peer
// has not acknowledged yet (SIOCOUTQ), and how many it has acknowledged since the
// connection began, which only grows (tcpi_bytes_acked). acked is read only if
// queued is not 0. ok is false if the kernel does not tell.
//
// The kernel counts a byte as acknowledged when the peer's kernel has it. A peer
// whose receive window is closed acknowledges nothing until it reads.
func PeerProgress(fd int32) (queued int, acked uint64, ok bool) {
	queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil || queued == 0 {
		return 0, 0, err == nil
	}
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0, false
	}
	return queued, info.Bytes_acked, true
}
