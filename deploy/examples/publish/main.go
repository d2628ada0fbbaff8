// Command publish publishes one event:
//
//	go run ./deploy/examples/publish orders '{"id":17}' created
//
// REDIS_URL says where; without it, redis://127.0.0.1:6379.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: publish CHANNEL DATA [EVENT]")
		os.Exit(2)
	}
	event := ""
	if len(os.Args) > 3 {
		event = os.Args[3]
	}
	if err := run(os.Args[1], os.Args[2], event); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(channel, data, event string) error {
	opts, err := redis.ParseURL(cmp.Or(os.Getenv("REDIS_URL"), "redis://127.0.0.1:6379"))
	if err != nil {
		return err
	}
	// An XADD that is repeated because its answer was lost is a second event.
	opts.MaxRetries = -1
	client := redis.NewClient(opts)
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	id, err := publish(ctx, client, channel, data, event)
	if err != nil {
		return err
	}
	fmt.Println(id)
	return nil
}

// publish appends an event to a channel and returns its id. An empty event is
// one without a name: EventSource's onmessage.
func publish(ctx context.Context, client *redis.Client, channel, data, event string) (id string, err error) {
	entry := []string{"data", data}
	if event != "" {
		entry = append(entry, "event", event)
	}
	return client.XAdd(ctx, &redis.XAddArgs{
		Stream: "sse:" + channel,
		MaxLen: 10_000, Approx: true, // what a client that was away can still get
		Values: entry,
	}).Result()
}
