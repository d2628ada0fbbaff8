package main

import (
	"context"
	"crypto/rand"
	"io"
	"iter"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// answerKept is how long an answer can be read again after it is complete. An
// application keeps answers in its database and shows them from there.
const answerKept = time.Hour

// chat answers questions. Each token of an answer is an event of the answer's own
// channel, so an answer is independent of the page that asked for it. Safe for
// concurrent use.
type chat struct {
	redis *redis.Client
	model func(question string) iter.Seq[string] // yields the tokens of an answer
}

// ask starts an answer and responds with its id: the channel is chat:<id>. A guessed id
// is not found, but whoever has it may read: an application checks who asks.
func (c *chat) ask(w http.ResponseWriter, r *http.Request) {
	question := r.FormValue("question")
	if question == "" {
		http.Error(w, "question is needed", http.StatusBadRequest)
		return
	}
	id := rand.Text()
	go func() {
		if err := c.answer(context.WithoutCancel(r.Context()), "sse:chat:"+id, question); err != nil {
			log.Printf("answer %s: %v", id, err)
		}
	}()
	_, _ = io.WriteString(w, id)
}

// answer publishes an answer. The end is an entry of its own: a page that loses its
// connection before the end is told of it when it comes back. With the end in the entry
// of the last token, it would be answered 204 if it has that token.
func (c *chat) answer(ctx context.Context, key, question string) error {
	for token := range c.model(question) {
		if err := c.redis.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"data", token}}).Err(); err != nil {
			return err
		}
	}
	pipe := c.redis.TxPipeline()
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"gateway.end", "1"}})
	pipe.Expire(ctx, key, answerKept)
	_, err := pipe.Exec(ctx)
	return err
}

// parrot is a language model for want of a better one.
func parrot(question string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, token := range strings.SplitAfter("You ask: “"+question+"” I am only a parrot.\nBut I can be interrupted: load the page again, or kill the gateway.", " ") {
			time.Sleep(300 * time.Millisecond)
			if !yield(token) {
				return
			}
		}
	}
}
