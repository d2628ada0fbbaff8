package clients

import (
	"context"
	"net/http"
	"time"

	donovanhide "github.com/donovanhide/eventsource"
	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

// httpClient returns a client with connections of its own, which end with ctx.
func httpClient(ctx context.Context) *http.Client {
	t := &http.Transport{}
	context.AfterFunc(ctx, t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// maxEvent is what clients are told that an event may have, in bytes.
const maxEvent = 1 << 20

func startR3labs(ctx context.Context, r *reader) {
	c := r3labs.NewClient(r.url)
	c.Connection = httpClient(ctx)
	go func() { _ = c.SubscribeRawWithContext(ctx, r.r3labs) }()
}

// startR3labsLoop subscribes again when the stream has ended; the client keeps
// the last id.
func startR3labsLoop(ctx context.Context, r *reader) {
	c := r3labs.NewClient(r.url, r3labs.ClientMaxBufferSize(maxEvent))
	c.Connection = httpClient(ctx)
	go func() {
		for ctx.Err() == nil {
			_ = c.SubscribeRawWithContext(ctx, r.r3labs)
			pause(ctx, 200*time.Millisecond)
		}
	}()
}

// r3labs takes an event, which may be a retry field alone.
func (r *reader) r3labs(e *r3labs.Event) {
	if len(e.Event) == 0 && len(e.Data) > 0 {
		r.message(string(e.Data))
	}
}

func startTmaxmax(ctx context.Context, r *reader)      { connectTmaxmax(ctx, r, false) }
func startTmaxmaxLarge(ctx context.Context, r *reader) { connectTmaxmax(ctx, r, true) }

func connectTmaxmax(ctx context.Context, r *reader, large bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		r.t.Error(err)
		return
	}
	c := (&tmaxmax.Client{HTTPClient: httpClient(ctx)}).NewConnection(req)
	if large {
		c.Buffer(nil, maxEvent)
	}
	c.SubscribeMessages(func(e tmaxmax.Event) { r.message(e.Data) })
	go func() { _ = c.Connect() }()
}

func startLaunchdarkly(ctx context.Context, r *reader) {
	s, err := launchdarkly.SubscribeWithURL(r.url, launchdarkly.StreamOptionHTTPClient(httpClient(ctx)),
		launchdarkly.StreamOptionCanRetryFirstConnection(-1),
		launchdarkly.StreamOptionErrorHandler(func(error) launchdarkly.StreamErrorHandlerResult {
			return launchdarkly.StreamErrorHandlerResult{} // try again
		}))
	if err != nil {
		r.t.Errorf("%s: %v", r.name, err)
		return
	}
	context.AfterFunc(ctx, s.Close)
	go func() {
		for e := range s.Events {
			if e.Event() == "" {
				r.message(e.Data())
			}
		}
	}()
}

func startDonovanhide(ctx context.Context, r *reader) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		r.t.Error(err)
		return
	}
	s, err := donovanhide.SubscribeWith("", httpClient(ctx), req)
	if err != nil {
		r.t.Errorf("%s: %v", r.name, err)
		return
	}
	go func() {
		for {
			select {
			case e := <-s.Events:
				if e.Event() == "" {
					r.message(e.Data())
				}
			case <-s.Errors:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// pause waits, as an application does before it tries again.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
