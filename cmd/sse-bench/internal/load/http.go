package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
)

const (
	// httpTimeout bounds one POST.
	httpTimeout = 10 * time.Second
	// httpPublishers is how many POSTs are under way at once.
	httpPublishers = 16
)

// httpSink publishes by POST, for servers such as nchan.
type httpSink struct {
	client *http.Client
	data   payload
	urls   []string     // per channel
	errors atomic.Int64 // POSTs that failed
}

func newHTTPSink(connections int) *httpSink {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy = nil
	tr.MaxIdleConnsPerHost, tr.MaxIdleConns = connections, connections
	tr.DisableCompression = true
	return &httpSink{client: &http.Client{Transport: tr, Timeout: httpTimeout}}
}

// send implements sink. A POST whose answer is lost is sent again, so that a
// server that had taken it shows the event as repeated.
func (h *httpSink) send(ctx context.Context, batch []integrity.Payload, accepted func(integrity.Payload, string)) error {
	for _, m := range batch {
		body := h.data(nil, m)
		for {
			err := h.post(ctx, h.urls[m.Channel], body)
			if err == nil {
				break
			}
			h.errors.Add(1)
			if !clock.Wait(ctx, redisPause) {
				return fmt.Errorf("publish: an event was not taken: %w", err)
			}
		}
		accepted(m, "")
	}
	return nil
}

func (h *httpSink) post(ctx context.Context, to string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain")
	resp, err := h.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// Read to the end, so that the connection is used again.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

// close implements sink.
func (h *httpSink) close() error {
	h.client.CloseIdleConnections()
	return nil
}
