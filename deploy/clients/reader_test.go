package clients

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// reader is one client at one address: what it was sent, as far as its
// application can see.
type reader struct {
	t    *testing.T
	name string // as the application knows it: the client's name and its way
	url  string

	mu    sync.Mutex
	got   []int
	fault string // the first event that was not the next number
}

// newReader makes a reader of a channel at a server.
func newReader(t *testing.T, name, addr, query string) *reader {
	return &reader{t: t, name: name, url: "http://" + addr + "/events?" + query + "&client=" + url.QueryEscape(name)}
}

// message takes the data of an event without a name. Numbers have to come one
// after another.
func (r *reader) message(data string) {
	text, _, _ := strings.Cut(data, " ")
	n, err := strconv.Atoi(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	want := len(r.got) + 1
	if r.fault == "" && (err != nil || n != want) {
		r.fault = fmt.Sprintf("got %.40q, want %d", data, want)
	}
	if err == nil {
		r.got = append(r.got, n)
	}
}

// last returns the number that was sent last, 0 before the first.
func (r *reader) last() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.got) == 0 {
		return 0
	}
	return r.got[len(r.got)-1]
}

// check fails the test unless the reader got every number up to n once, in order.
func (r *reader) check(n int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != "" || len(r.got) != n {
		r.t.Errorf("%s: %d events of %d; %s", r.name, len(r.got), n, r.fault)
	}
}
