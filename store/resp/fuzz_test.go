package resp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// FuzzReader compares what Value makes of arbitrary bytes with what go-redis
// reads of them, in RESP2 and RESP3, and with what it makes of them in pieces.
func FuzzReader(f *testing.F) {
	for _, c := range samples {
		f.Add([]byte(c.in), byte(3))
	}
	for _, in := range badInputs {
		f.Add([]byte(in[:min(len(in), 100)]), byte(1))
	}
	f.Add([]byte("*3\r\n-MOVED 1 127.0.0.1:1\r\n-ERR max number of clients reached\r\n!3\r\nabc\r\n"), byte(2))
	f.Add([]byte("%2\r\n+a\r\n-ERR\r\n:1\r\n_\r\n"), byte(2))
	f.Fuzz(func(t *testing.T, in []byte, size byte) {
		if len(in) > 1024 {
			return
		}
		whole := parse(in, len(in))
		if pieces := parse(in, max(1, int(size))); !reflect.DeepEqual(pieces, whole) {
			t.Fatalf("%q: %+v in pieces of %d bytes, %+v as a whole", in, pieces, size, whole)
		}
		if longNumber.Match(in) || whole.pushInside || bytes.Count(in, []byte("|")) > 1 || whole.pushes && bytes.Contains(in, []byte("|")) {
			// go-redis allocates what is announced, takes a push inside of a
			// value for an element, and does not know nested attributes.
			return
		}
		for protocol := 2; protocol <= 3; protocol++ {
			if protocol == 2 && whole.pushes {
				continue
			}
			theirs, err := readByGoRedis(t, in, protocol)
			compare(t, in, whole, theirs, err)
		}
	})
}

var longNumber = regexp.MustCompile(`[0-9]{5}`)

// outcome is what became of bytes.
type outcome struct {
	value any
	err   string
	done  bool
	rest  int // bytes that were not taken

	pushes, pushInside bool
	inside             bool // the last byte was inside of an array or a map
	lenient            bool // there is a number or a map that only go-redis looks into
}

// parse reads a value of bytes that come in pieces.
func parse(in []byte, size int) (o outcome) {
	var cuts []int
	for at := size; at < len(in); at += size {
		cuts = append(cuts, at)
	}
	src := &pieces{text: string(in), cuts: cuts}
	rd := NewReader(src, nil)
	rd.pushes = func(rd *Reader, n int) error {
		o.pushes = true
		o.pushInside = o.pushInside || rd.depth > 0
		return rd.nested(n, rd.skipNext)
	}
	v, err := rd.Value()
	switch {
	case err == nil:
		o.value, o.done = v, true
	case IsReply(err):
		o.value, o.done = err, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // it is not complete
	default:
		o.err = err.Error()
	}
	o.inside = !o.done && bytes.ContainsAny(in, "*~%")
	o.lenient = bytes.ContainsAny(in, "%,(")
	if o.done {
		o.rest = len(in) - src.at + rd.buf.Buffered()
	}
	return o
}

// readByGoRedis has go-redis read a reply.
func readByGoRedis(t *testing.T, in []byte, protocol int) (any, error) {
	client := redis.NewClient(&redis.Options{
		Protocol: protocol, DisableIdentity: true, MaxRetries: -1, PoolSize: 1, ContextTimeoutEnabled: true, ReadTimeout: time.Minute,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return serve(t, func(conn net.Conn, n int) bool {
				if n == 0 {
					_, err := conn.Write([]byte("*2\r\n+proto\r\n:3\r\n")) // to HELLO
					return err == nil
				}
				_, _ = conn.Write(in)
				return false
			}), nil
		},
	})
	defer client.Close()
	return client.Do(context.Background(), "ANYTHING").Result()
}

// ourLimits are errors about what go-redis does not look at, or takes more of.
var ourLimits = regexp.MustCompile(`does not end after|begins with "_|nested deeper|larger than expected|push|null of kind|no command`)

func compare(t *testing.T, in []byte, ours outcome, theirs any, err error) {
	t.Helper()
	var reply redis.Error
	switch {
	case err == redis.Nil:
		theirs, err = nil, nil
	case errors.As(err, &reply):
		theirs, err = Error(reply.Error()), nil
	}
	switch {
	case err != nil && ours.done && !ours.lenient && ours.err == "":
		t.Errorf("%q: %#v, where go-redis has the error %v", in, ours.value, err)
	case err != nil:
	case ours.inside && isError(theirs): // of an element, with which go-redis may stop reading
	case ours.err != "":
		// While it looks for pushes, go-redis ignores errors.
		if !ourLimits.MatchString(ours.err) && !bytes.ContainsAny(in, "|>") {
			t.Errorf("%q: %s, where go-redis has %#v", in, ours.err, theirs)
		}
	case !ours.done:
		t.Errorf("%q: it is not complete, where go-redis has %#v", in, theirs)
	case !same(ours.value, theirs) && !hasError(ours.value, theirs):
		t.Errorf("%q: %#v, where go-redis has %#v", in, ours.value, theirs)
	}
}

func isError(v any) bool { _, ok := v.(Error); return ok }

// hasError reports whether there is an error among the elements that go-redis
// returns alone, as it does if it has a type for it.
func hasError(ours, theirs any) bool {
	e, ok := theirs.(Error)
	elements, _ := ours.([]any)
	for _, x := range elements {
		if ok && (x == e || hasError(x, e)) {
			return true
		}
	}
	return false
}

// same compares values, of which go-redis has numbers as numbers and a map as a
// map.
func same(ours, theirs any) bool {
	switch b := theirs.(type) {
	case []any:
		a, ok := ours.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[any]any:
		return sameMap(ours, b)
	case float64:
		s, _ := ours.(string)
		if s == "nan" || s == "-nan" {
			return b != b
		}
		a, err := strconv.ParseFloat(s, 64)
		return err == nil && (a == b || a != a && b != b)
	case *big.Int:
		s, _ := ours.(string)
		a, ok := new(big.Int).SetString(s, 10)
		return ok && a.Cmp(b) == 0
	case redis.Error:
		a, ok := ours.(Error)
		return ok && a.Error() == b.Error()
	}
	return ours == theirs
}

// sameMap compares keys and values in turn with a map, in which the last value
// of a key counts.
func sameMap(ours any, theirs map[any]any) bool {
	a, ok := ours.([]any)
	if !ok {
		return false
	}
	last := map[string]any{}
	for i := 0; i+1 < len(a); i += 2 {
		last[fmt.Sprintf("%T %v", a[i], a[i])] = a[i+1]
	}
	matched := 0
	for key, value := range theirs {
		for i := 0; i+1 < len(a); i += 2 {
			if same(a[i], key) && same(last[fmt.Sprintf("%T %v", a[i], a[i])], value) {
				matched++
				break
			}
		}
	}
	return matched == len(theirs)
}

// FuzzWriter gives arbitrary bytes to a Writer, by both ways in: the same is read.
func FuzzWriter(f *testing.F) {
	for _, c := range samples {
		f.Add([]byte(c.in), byte(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut byte) {
		at := min(int(cut), len(in))
		var a, b recorder
		one, two := &Writer{Read: a.read}, &Writer{Read: b.read}
		_, _ = one.Write(in)
		_, _ = two.Write(in[:at])
		if n, err := two.ReadFrom(io.LimitReader(strings.NewReader(string(in[at:])), int64(len(in)))); err != nil || int(n) != len(in)-at {
			t.Fatalf("ReadFrom: %d, %v", n, err)
		}
		if err1, err2 := one.Err(), two.Err(); !reflect.DeepEqual(a.got, b.got) || (err1 == nil) != (err2 == nil) {
			t.Errorf("%q: %v, %v and %v, %v", in, a.got, err1, b.got, err2)
		}
	})
}
