package main

import (
	"context"
	"crypto/rand"
	"io"
	"iter"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// outcomeKept is how long the outcome of a job can be seen.
const outcomeKept = time.Hour

// jobs runs jobs. A job tells of its progress on its own channel, whose stream keeps
// the newest entry only. Safe for concurrent use.
type jobs struct {
	redis *redis.Client
	work  func() iter.Seq[int] // yields how much is done, in percent
}

// begin starts a job and responds with its id: the channel is job:<id>.
func (j *jobs) begin(w http.ResponseWriter, r *http.Request) {
	id := rand.Text()
	go func() {
		if err := j.run(context.WithoutCancel(r.Context()), "sse:job:"+id); err != nil {
			log.Printf("job %s: %v", id, err)
		}
	}()
	_, _ = io.WriteString(w, id)
}

// run does a job. Its last entry has the outcome, and ends the channel.
func (j *jobs) run(ctx context.Context, key string) error {
	for percent := range j.work() {
		err := j.redis.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: 1, Values: []string{"event", "progress", "data", strconv.Itoa(percent)}}).Err()
		if err != nil {
			return err
		}
	}
	pipe := j.redis.TxPipeline()
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: 1, Values: []string{"event", "done", "data", "The report is ready.", "gateway.end", "1"}})
	pipe.Expire(ctx, key, outcomeKept)
	_, err := pipe.Exec(ctx)
	return err
}

// pretend is work of five seconds.
func pretend() iter.Seq[int] {
	return func(yield func(int) bool) {
		for percent := range 100 {
			time.Sleep(50 * time.Millisecond)
			if !yield(percent) {
				return
			}
		}
	}
}
