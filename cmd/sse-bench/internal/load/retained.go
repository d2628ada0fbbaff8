package load

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
)

const (
	// retainedTimeout is how long to go on asking Redis what it has of a channel.
	retainedTimeout = 60 * time.Second
	// retainedPage is how many entries one read asks for at most, and
	// retainedBytes how much of events as large as ours.
	retainedPage  = 1000
	retainedBytes = 4 << 20
)

// retained returns the numbers of the run's events that a channel's stream has,
// ascending. log is what the publisher knows of their ids.
func (r *redisSink) retained(channel int, log integrity.IDLog) (numbers []integrity.Span, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), retainedTimeout)
	defer cancel()
	err = r.repeat(ctx, func() error {
		numbers, err = r.readNumbers(ctx, channel, log)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.keys[channel], err)
	}
	return numbers, nil
}

// readNumbers reads the stream once, from its first event of the run on.
func (r *redisSink) readNumbers(ctx context.Context, channel int, log integrity.IDLog) (numbers []integrity.Span, err error) {
	from := "-"
	if len(log) > 0 && log[0].Seq == 1 {
		from = log[0].ID.String()
	}
	count := int64(min(max(retainedBytes/max(r.size, 1), 1), retainedPage))
	for {
		page, err := r.client.XRangeN(ctx, r.keys[channel], from, "+", count).Result()
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			if p, ok := r.ours(entry); ok && p.Channel == channel {
				numbers = integrity.AppendNumber(numbers, p.Seq)
			}
		}
		if int64(len(page)) < count {
			return numbers, nil
		}
		from = "(" + page[len(page)-1].ID
	}
}

// ours reads the payload of an entry; ok is false for somebody else's.
func (r *redisSink) ours(entry redis.XMessage) (p integrity.Payload, ok bool) {
	text, _ := entry.Values["data"].(string)
	return integrity.ParsePayload([]byte(text), r.run)
}
