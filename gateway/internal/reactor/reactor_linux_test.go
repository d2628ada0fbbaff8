package reactor

import (
	"io"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// patience is how long a test waits for what takes moments.
const patience = time.Minute

// open returns a reactor that watches.
func open(t *testing.T) *Reactor[owner] {
	t.Helper()
	r := New[owner](Nanos(time.Now()))
	if err := r.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// socketPair returns two connected non-blocking sockets.
func socketPair(t testing.TB) (a, b int32) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return int32(pair[0]), int32(pair[1])
}

// next returns the events that arrive next.
func next(t *testing.T, r *Reactor[owner]) []Event {
	t.Helper()
	select {
	case events := <-r.Ready():
		return events
	case <-time.After(patience):
		t.Fatal("no event")
		return nil
	}
}

func TestWatchReportsWhatArrives(t *testing.T) {
	r := open(t)
	a, b := socketPair(t)
	defer CloseFD(a)
	o := &owner{}
	o.slot = r.Add(o)
	if err := r.Watch(o.slot, a); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteNonblock(b, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	var got []*owner
	r.Handle(next(t, r), func(o *owner) { got = append(got, o) })
	var buf [16]byte
	if n, err := ReadNonblock(a, buf[:]); len(got) != 1 || got[0] != o || err != nil || string(buf[:n]) != "hello" {
		t.Errorf("reported %v, read %q, %v", got, buf[:n], err)
	}
	if n, err := ReadNonblock(a, buf[:]); n != 0 || err != nil {
		t.Errorf("of nothing %d bytes were read: %v", n, err)
	}
	CloseFD(b)
	got = nil
	r.Handle(next(t, r), func(o *owner) { got = append(got, o) })
	if _, err := ReadNonblock(a, buf[:]); len(got) != 1 || err != io.EOF {
		t.Errorf("of a closed peer %v was reported, and read: %v", got, err)
	}
}

// An event that was on its way when its owner was removed is not taken for one of
// the owner that has the slot, and even the descriptor, now.
func TestLateEventIsNobodys(t *testing.T) {
	r := open(t)
	a, b := socketPair(t)
	defer CloseFD(b)
	first := &owner{}
	first.slot = r.Add(first)
	if err := r.Watch(first.slot, a); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteNonblock(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	late := next(t, r)
	r.Remove(first.slot)
	CloseFD(a)
	c, d := socketPair(t)
	defer CloseFD(c)
	defer CloseFD(d)
	second := &owner{}
	if second.slot = r.Add(second); second.slot != first.slot {
		t.Fatalf("the slot was not used again: %d, then %d", first.slot, second.slot)
	}
	if err := r.Watch(second.slot, c); err != nil {
		t.Fatal(err)
	}
	r.Handle(late, func(*owner) { t.Error("the second owner was reported") })
}

// The table of a reactor is as large as its owners are many, whatever their
// descriptors are.
func TestTableIsDense(t *testing.T) {
	r := open(t)
	fd, peer := socketPair(t)
	defer CloseFD(peer)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 900)
	if err != nil {
		t.Fatal(err)
	}
	CloseFD(fd)
	defer CloseFD(int32(high))
	o := &owner{}
	for range 10 * pageSize {
		o.slot = r.Add(o)
		if err := r.Watch(o.slot, int32(high)); err != nil {
			t.Fatal(err)
		}
		r.Remove(o.slot)
	}
	if len(r.pages) != 1 {
		t.Errorf("one owner at a time has %d pages", len(r.pages))
	}
}

// PeerProgress sees what a client takes, and that another takes nothing.
func TestPeerProgress(t *testing.T) {
	l := redistest.Listen(t)
	client, err := redistest.SmallDialer(4096).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fd, ok := DetachFD(server)
	if !ok {
		t.Fatal("the connection cannot be detached")
	}
	defer CloseFD(fd)
	if queued, _, ok := PeerProgress(fd); queued != 0 || !ok {
		t.Fatalf("before the first byte %d are queued, %v", queued, ok)
	}
	if _, err := WriteNonblock(fd, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	// What the client's kernel does not hold waits, until the client reads.
	var before uint64
	same := 0
	redistest.Eventually(t, patience, "the client's kernel to be full", func() bool {
		queued, acked, ok := PeerProgress(fd)
		if same++; acked != before || queued == 0 || !ok {
			same = 0
		}
		before = acked
		return same == 10
	})
	if _, err := io.ReadFull(client, make([]byte, 32<<10)); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, "what the client has read to be acknowledged", func() bool {
		_, acked, ok := PeerProgress(fd)
		return ok && acked > before
	})
}

// BenchmarkWriteNonblock is what WriteNonblock saves by the raw system call.
func BenchmarkWriteNonblock(b *testing.B) {
	event, buf := make([]byte, 100), make([]byte, 64<<10)
	for name, write := range map[string]func(fd int32, b []byte) (int, error){
		"raw": WriteNonblock, "scheduler": func(fd int32, b []byte) (int, error) { return unix.Write(int(fd), b) },
	} {
		b.Run(name, func(b *testing.B) {
			fd, peer := socketPair(b)
			defer CloseFD(fd)
			defer CloseFD(peer)
			for i := 0; b.Loop(); i++ {
				if n, err := write(fd, event); n != len(event) || err != nil {
					b.Fatal(n, err)
				}
				if i%100 == 99 {
					b.StopTimer()
					_, _ = ReadNonblock(peer, buf)
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkWriteToEach is what the kernel takes for an event that is written once to
// each of many connections over loopback, and with it the least that a delivery can
// cost: nothing happens here but the writes. µs/write is processor time of the thread
// that writes. It holds what the kernel does for the receiver, too, which on loopback
// happens in the sender's time.
func BenchmarkWriteToEach(b *testing.B) {
	for _, n := range []int{1, 100, 4_500, 9_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			fds, stop := connections(b, n)
			defer stop()
			event := make([]byte, 100)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var before, after unix.Rusage
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &before); err != nil {
				b.Fatal(err)
			}
			writes := 0
			for i := 0; b.Loop(); i++ {
				// A socket that is full takes nothing: its reader had no time yet.
				if k, err := WriteNonblock(fds[i%n], event); err != nil {
					b.Fatal(err)
				} else if k > 0 {
					writes++
				} else {
					runtime.Gosched()
				}
			}
			_ = unix.Getrusage(unix.RUSAGE_THREAD, &after)
			took := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			b.ReportMetric(took.Seconds()*1e6/float64(writes), "µs/write")
		})
	}
}

// connections returns the servers' ends of n connections, the clients of which read all
// that comes, on a thread of their own.
func connections(b *testing.B, n int) (fds []int32, stop func()) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	all := []int32{int32(ep)}
	detach := func(c net.Conn, err error) int32 {
		if err != nil {
			b.Fatal(err)
		}
		fd, ok := DetachFD(c)
		if !ok {
			b.Fatal("no descriptor is left")
		}
		all = append(all, fd)
		return fd
	}
	for range n {
		client := detach(net.Dial("tcp", l.Addr().String()))
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(client), &unix.EpollEvent{Events: reads, Fd: client}); err != nil {
			b.Fatal(err)
		}
		fds = append(fds, detach(l.Accept()))
	}
	var reader sync.WaitGroup
	var done atomic.Bool
	reader.Go(func() {
		events, buf := make([]unix.EpollEvent, pollerEvents), make([]byte, 64<<10)
		for !done.Load() {
			k, _ := unix.EpollWait(ep, events, 10)
			for _, e := range events[:max(k, 0)] {
				_, _ = ReadNonblock(e.Fd, buf)
			}
		}
	})
	return fds, func() {
		done.Store(true)
		reader.Wait()
		for _, fd := range all {
			CloseFD(fd)
		}
	}
}
