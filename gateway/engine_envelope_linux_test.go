package gateway

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Clients that do not read hold a part of an envelope each, not all of it.
func TestStalledEnvelopesAreSmall(t *testing.T) {
	e := startEngine(t, redistest.Start(t), engineSetup{sendBuf: smallBuffer})
	const clients, size = 50, 1000 << 10
	for range clients {
		e.connect("a", clientSetup{query: "&envelope=json", recvBuf: smallBuffer})
	}
	e.awaitConnections(clients)
	before := heap()
	e.publish("a", strings.Repeat("\x01", size))
	redistest.Eventually(t, enginePatience, "the sockets to be full", func() bool { return e.parked() == 0 })
	// The envelopes have 6 MB each; a client needs a batch of 80 KiB and a
	// goroutine, and all of them one event.
	if grown := heap() - before; grown > clients*size {
		t.Errorf("%d clients that do not read hold %d bytes", clients, grown)
	} else {
		t.Logf("%d clients that do not read hold %d bytes", clients, grown)
	}
}

// heap returns the bytes in use once what nobody needs was collected.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the pools held
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
