// Command examples is an application beside the gateway: it serves pages, keeps
// orders in Redis and publishes what changes, answers questions, runs jobs, hands out
// tokens, and passes /events on to the gateway, as the load balancer in front of both
// would.
//
//	go run ./cmd/sse-gateway dev
//	go run ./deploy/examples          # http://127.0.0.1:8000
package main

import (
	"cmp"
	"embed"
	"errors"
	"flag"
	"io/fs"
	"iter"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed pages
var pages embed.FS

func main() {
	c := config{
		redisURL: cmp.Or(os.Getenv("REDIS_URL"), "redis://127.0.0.1:6379"), secret: os.Getenv("SSE_JWT_SECRET"), tokenLife: tokenLife,
		model: parrot, work: pretend,
	}
	addr := flag.String("addr", "127.0.0.1:8000", "where to listen")
	flag.StringVar(&c.gateway, "gateway", "http://127.0.0.1:8080", "the gateway's public `URL`")
	flag.StringVar(&c.queues, "queues", "http://127.0.0.1:8081", "the public `URL` of a gateway for the queues of BullMQ")
	flag.Parse()
	handler, err := newApp(c)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%s", *addr)
	// No WriteTimeout: it would end every event stream.
	server := &http.Server{Addr: *addr, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// config is what the application is made of.
type config struct {
	gateway, queues string // public URLs of the gateways for /events and for /queues
	redisURL        string
	secret          string // of tokens; without one, none are handed out
	tokenLife       time.Duration
	model           func(question string) iter.Seq[string] // see chat
	work            func() iter.Seq[int]                   // see jobs
}

// newApp returns the application.
func newApp(c config) (http.Handler, error) {
	gateway, err := url.Parse(c.gateway)
	if err != nil {
		return nil, err
	}
	queues, err := url.Parse(c.queues)
	if err != nil {
		return nil, err
	}
	opts, err := redis.ParseURL(c.redisURL)
	if err != nil {
		return nil, err
	}
	// An XADD that is repeated because its answer was lost is a second event.
	opts.MaxRetries = -1
	static, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, err
	}
	if c.secret != "" && len(c.secret) < 32 {
		return nil, errors.New("SSE_JWT_SECRET: at least 32 bytes")
	}
	client := redis.NewClient(opts)
	shop := &orders{redis: client}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(static))
	mux.Handle("GET /events", passEvents(gateway))
	mux.Handle("GET /queues", passEvents(queues))
	mux.HandleFunc("GET /api/orders", shop.snapshot)
	mux.HandleFunc("POST /api/orders", shop.change)
	mux.HandleFunc("POST /api/chat", (&chat{client, c.model}).ask)
	mux.HandleFunc("POST /api/jobs", (&jobs{client, c.work}).begin)
	mux.Handle("GET /api/token", tokens(c.secret, c.tokenLife))
	// Or a page of another site could change orders.
	return http.NewCrossOriginProtection().Handler(mux), nil
}
