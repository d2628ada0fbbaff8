package feed

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/store"
)

// Channel is the channel of the stream of revocations.
const Channel = "gateway.revocations"

const (
	// defaultLife is how long a revocation without until counts.
	defaultLife = 24 * time.Hour
	// maxUntil is the last second of the year 9999: a later one would overflow in
	// the arithmetic of times.
	maxUntil = 253402300799
)

// Faults of an entry.
var (
	errNoName  = errors.New("there is neither sub nor jti")
	errNoUntil = errors.New("until is not a time in Unix seconds")
	errPast    = errors.New("until is not after the entry")
)

// Encoder is a store.Encoder that hands the fields of revocations on as they are:
// the frames of package store are its encoder's, and what is made for clients has
// lost them.
type Encoder struct{ store.Encoder }

// EncodeEntry encodes an entry.
func (e Encoder) EncodeEntry(channel string, id store.ID, fields [][]byte) store.Encoded {
	if channel != Channel {
		return e.Encoder.EncodeEntry(channel, id, fields)
	}
	frame, _ := json.Marshal(fields) // slices of bytes always can
	return store.Encoded{Frame: frame}
}

// parse reads what Encoder made of an entry.
func parse(e *store.Entry) (revocation.Revocation, error) {
	var fields [][]byte
	if e.Kind != store.KindEvent || json.Unmarshal(e.Frame, &fields) != nil {
		return revocation.Revocation{}, errors.New("it is over SSE_MAX_EVENT_BYTES")
	}
	at := time.UnixMilli(int64(min(e.ID.Ms, maxUntil*1000)))
	r := revocation.Revocation{At: at, Until: at.Add(defaultLife)}
	for i := 0; i+1 < len(fields); i += 2 {
		switch value := string(fields[i+1]); string(fields[i]) {
		case "sub":
			r.Subject = revocation.SubjectKey(value)
		case "jti":
			r.Token = revocation.TokenKey(value)
		case "until":
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil || math.IsNaN(seconds) || seconds < 0 {
				return revocation.Revocation{}, errNoUntil
			}
			r.Until = time.UnixMilli(int64(min(seconds, maxUntil) * 1000))
		}
	}
	var none revocation.Key
	switch {
	case r.Subject == none && r.Token == none:
		return revocation.Revocation{}, errNoName
	case !r.Until.After(at):
		return revocation.Revocation{}, errPast
	}
	return r, nil
}
