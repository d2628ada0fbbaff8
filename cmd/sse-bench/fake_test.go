package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/load"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMain(m *testing.M) {
	// Tests and the tool itself start os.Executable, which is the test.
	if os.Getenv(asTool) != "" || len(os.Args) == 2 && os.Args[1] == load.WorkerCommand {
		main()
		return
	}
	logging.Disable() // as main does
	// Most tests wait most of the time.
	redistest.Main(m, 10)
}

// fakeServer serves streams from Redis in the gateway's words, one blocking read
// per connection, and does to them what a test wants.
type fakeServer struct {
	*httptest.Server
	redis *redis.Client
	plain bool // no gateway.ready and no ids, as another server

	// mangle sees every frame of a connection and returns what is written
	// instead; nil ends the stream.
	mangle func(conn int64, n int, frame string) []string
	// until, if not 0, is how many events a stream has.
	until int
	// refuse may answer a request itself.
	refuse func(conn int64, w http.ResponseWriter) bool
	// late may hold up a stream whose position is fixed.
	late func(ctx context.Context, c *redis.Client, key string)
	// before says that a stream begins one event too early.
	before  func() bool
	earlier atomic.Int64 // how many did
	conns   atomic.Int64
	resume  atomic.Int64 // requests with Last-Event-ID
}

func startFake(t *testing.T, r *redistest.Server, faults ...func(*fakeServer)) *fakeServer {
	t.Helper()
	// A pool of its own, for every stream holds a connection.
	f := &fakeServer{redis: redis.NewClient(&redis.Options{Addr: r.Addr(), PoolSize: 300, MaxRetries: -1})}
	t.Cleanup(func() { f.redis.Close() })
	for _, set := range faults {
		set(f)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, req *http.Request) {
		f.serve(w, req, req.URL.Query().Get("channel"))
	})
	mux.HandleFunc("GET /sub/{channel}", func(w http.ResponseWriter, req *http.Request) {
		f.serve(w, req, req.PathValue("channel"))
	})
	mux.HandleFunc("POST /pub/{channel}", func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		f.redis.XAdd(req.Context(), &redis.XAddArgs{Stream: "sse:" + req.PathValue("channel"), Values: []any{"data", body}})
		w.WriteHeader(http.StatusCreated)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) serve(w http.ResponseWriter, req *http.Request, channel string) {
	conn := f.conns.Add(1)
	if f.refuse != nil && f.refuse(conn, w) {
		return
	}
	key := "sse:" + channel
	last := req.Header.Get("Last-Event-ID")
	if last != "" {
		f.resume.Add(1)
	} else {
		last = "0-0"
		if e, err := f.redis.XRevRangeN(req.Context(), key, "+", "-", 1).Result(); err == nil && len(e) > 0 {
			last = e[0].ID
		}
	}
	start := last
	if f.late != nil {
		f.late(req.Context(), f.redis, key)
	}
	if f.before != nil && f.before() {
		if e, err := f.redis.XRevRangeN(req.Context(), key, last, "-", 2).Result(); err == nil && len(e) == 2 {
			last = e[1].ID
			f.earlier.Add(1)
		}
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	if !f.plain {
		fmt.Fprintf(w, "retry: 20\nid: %s\nevent: gateway.ready\ndata: {}\n\n", start)
	}
	w.(http.Flusher).Flush()
	for n := 0; ; {
		streams, err := f.redis.XRead(req.Context(), &redis.XReadArgs{Streams: []string{key, last}, Block: 100 * time.Millisecond}).Result()
		if err != nil && err != redis.Nil {
			return
		}
		for _, s := range streams {
			for _, m := range s.Messages {
				last = m.ID
				n++
				if !f.write(w, conn, n, m) {
					return
				}
			}
		}
	}
}

func (f *fakeServer) write(w http.ResponseWriter, conn int64, n int, m redis.XMessage) bool {
	frame := fmt.Sprintf("id: %s\ndata: %s\n\n", m.ID, m.Values["data"])
	if f.plain {
		frame = fmt.Sprintf("data: {\"pub\":\"%s\"}\n\n", m.Values["data"])
	}
	frames := []string{frame}
	if f.mangle != nil {
		if frames = f.mangle(conn, n, frame); frames == nil {
			return false
		}
	}
	_, err := io.WriteString(w, strings.Join(frames, ""))
	w.(http.Flusher).Flush()
	return err == nil && n != f.until
}
