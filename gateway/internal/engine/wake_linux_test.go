package engine

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// sinks is a shard with streams of one channel that are parked over socket
// pairs. Nobody runs the shard: the test calls it, and nothing happens
// meanwhile.
type sinks struct {
	t       testing.TB
	f       *feed
	shard   *shard
	topic   *topic
	streams []*Stream
	ends    []int // of the clients
	before  store.ID
	frames  int // bytes of the events that a wake-up delivers
	discard [64 << 10]byte
}

// newSinks parks n streams and publishes events for them of the size, which are
// in the window and yet to be delivered.
func newSinks(t testing.TB, n, events, size int, change ...func(*store.Config)) *sinks {
	t.Helper()
	k := &sinks{t: t, f: newFeed(t, change...)}
	e := k.f.engine()
	k.shard = e.shards[0]
	if err := k.shard.reactor.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	for range n {
		k.addStream(e)
	}
	k.topic = k.shard.topics["sinks"]
	k.before = k.topic.broadcastCursor.Pos()
	k.f.PublishNumbers("sinks", events, strings.Repeat("s", size))
	redistest.Eventually(t, patience, strconv.Itoa(events)+" events in the window", func() bool {
		c := k.topic.broadcastCursor
		batch, _ := c.Next(1 << 30)
		k.frames = 0
		for i := range batch.Entries {
			k.frames += len(batch.Entries[i].Frame)
		}
		return len(batch.Entries) == events
	})
	return k
}

func (k *sinks) addStream(e *Engine) {
	k.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	s := &Stream{shard: k.shard}
	s.reader.Init([]string{"sinks"})
	if !e.register(s) {
		k.t.Fatal("the engine is stopping")
	}
	if err := k.shard.subscribe(context.Background(), "sinks", s, 0); err != nil {
		k.t.Fatal(err)
	}
	c := &s.reader.Channels[0]
	c.Cursor, c.Live = c.Topic.Sub.Now(), true
	s.fd, s.heartbeatAt = int32(pair[0]), reactor.Nanos(time.Now().Add(never))
	k.shard.park(s)
	k.streams, k.ends = append(k.streams, s), append(k.ends, pair[1])
}

// serve does what the shard would do next about sockets that have room again, and about
// streams that others had to wait for.
func (k *sinks) serve() {
	k.shard.loopMu.Lock()
	defer k.shard.loopMu.Unlock()
	k.shard.drainInbox()
	select {
	case events := <-k.shard.reactor.Ready():
		k.shard.handle(events)
	default:
	}
}

// rewind has everything yet to be delivered again.
func (k *sinks) rewind() {
	k.topic.broadcastCursor.Rewind(k.before)
	for _, s := range k.streams {
		s.reader.Channels[0].Cursor.Rewind(k.before)
	}
}

// drain reads what the clients were sent, and returns how many bytes that is.
func (k *sinks) drain() (total int) {
	for _, fd := range k.ends {
		for {
			n, err := unix.Read(fd, k.discard[:])
			if err != nil || n <= 0 {
				break
			}
			total += n
		}
	}
	return total
}

// check fails unless every stream is still parked.
func (k *sinks) check() {
	k.t.Helper()
	for i, s := range k.streams {
		if !s.parked || !s.reader.Idle() {
			k.t.Fatalf("stream %d: parked %v, idle %v", i, s.parked, s.reader.Idle())
		}
	}
}

func (k *sinks) close() {
	k.shard.loopMu.Lock()
	for i, s := range k.streams {
		_ = unix.Close(k.ends[i])
		if s.parked {
			k.shard.endParked(s, metrics.EndClient)
		}
	}
	k.shard.loopMu.Unlock()
	k.shard.env.streams.Wait() // those that have a goroutine find that their client has gone
	k.shard.reactor.Close()
}

// A wake-up writes the same events to every parked stream that is up to date.
func TestWakeReachesAll(t *testing.T) {
	const n, events = 100, 7
	k := newSinks(t, n, events, 50)
	for range 3 {
		k.shard.wake(k.topic)
		if got := k.drain(); got != n*k.frames {
			t.Fatalf("%d bytes were written, want %d", got, n*k.frames)
		}
		k.check()
		k.rewind()
	}
}

// A stream whose grant has ended gets nothing any more, although nobody has
// come to end it yet.
func TestWakeAfterGrant(t *testing.T) {
	k := newSinks(t, 2, 3, 50)
	late := k.streams[0]
	late.life.ExpiresAt = time.Now().Add(-time.Millisecond).UnixNano()
	k.shard.wake(k.topic)
	last := late.lastOutput(metrics.EndExpired)
	closing := last.Size()
	if got := k.drain(); got != k.frames+closing {
		t.Errorf("%d bytes were written, want %d to one stream and a closing of %d to the other", got, k.frames, closing)
	}
	if late.parked || k.f.ended(metrics.EndExpired) != 1 {
		t.Error("the stream has not ended")
	}
}

// BenchmarkWake is an event of 100 bytes, or a burst of them, to 1,000 parked
// streams: the system call is most of it.
func BenchmarkWake(b *testing.B) {
	for _, events := range []int{1, 50} {
		b.Run(strconv.Itoa(events)+" events to 1000", func(b *testing.B) {
			k := newSinks(b, 1000, events, 100)
			b.ReportAllocs()
			for b.Loop() {
				k.rewind()
				k.shard.wake(k.topic)
				b.StopTimer()
				k.drain()
				b.StartTimer()
			}
			k.check()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(k.streams)), "ns/stream")
		})
	}
}

// BenchmarkWriteBatch is a burst to a stream that is served by itself, as one
// of several channels is.
func BenchmarkWriteBatch(b *testing.B) {
	for _, events := range []int{1, 50} {
		b.Run(strconv.Itoa(events)+" events", func(b *testing.B) {
			k := newSinks(b, 1, events, 100)
			s := k.streams[0]
			b.SetBytes(int64(k.frames))
			b.ReportAllocs()
			for b.Loop() {
				k.rewind()
				if o, err := s.flushNonblocking(); o != upToDate || err != nil {
					b.Fatal(o, err)
				}
				b.StopTimer()
				k.drain()
				b.StartTimer()
			}
		})
	}
}
