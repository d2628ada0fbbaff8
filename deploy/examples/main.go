// Command examples is an application beside the gateway: it serves pages, keeps
// orders in Redis and publishes what changes, hands out tokens, and passes
// /events on to the gateway, as the load balancer in front of both would.
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
	addr := flag.String("addr", "127.0.0.1:8000", "where to listen")
	gateway := flag.String("gateway", "http://127.0.0.1:8080", "the gateway's public `URL`")
	flag.Parse()
	handler, err := newApp(*gateway, cmp.Or(os.Getenv("REDIS_URL"), "redis://127.0.0.1:6379"), os.Getenv("SSE_JWT_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%s", *addr)
	// No WriteTimeout: it would end every event stream.
	server := &http.Server{Addr: *addr, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// newApp returns the application. Without a secret it hands out no tokens.
func newApp(gateway, redisURL, secret string) (http.Handler, error) {
	target, err := url.Parse(gateway)
	if err != nil {
		return nil, err
	}
	opts, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, err
	}
	// An XADD that is repeated because its answer was lost is a second event.
	opts.MaxRetries = -1
	static, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, err
	}
	if secret != "" && len(secret) < 32 {
		return nil, errors.New("SSE_JWT_SECRET: at least 32 bytes")
	}
	shop := &orders{redis: redis.NewClient(opts)}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(static))
	mux.Handle("GET /events", passEvents(target))
	mux.HandleFunc("GET /api/orders", shop.snapshot)
	mux.HandleFunc("POST /api/orders", shop.change)
	mux.Handle("GET /api/token", tokens(secret))
	// Or a page of another site could change orders.
	return http.NewCrossOriginProtection().Handler(mux), nil
}
