package sse

import (
	"strconv"
	"time"

	"github.com/sse-gateway/sse-gateway/store"
)

// Heartbeat is the comment that keeps an idle connection open. No empty line
// follows: @microsoft/fetch-event-source and others would dispatch a message
// without data.
const Heartbeat = ":\n"

// AppendRetry appends a retry field: how long the client waits before it
// reconnects. No empty line follows, for the reason that Heartbeat has none: the
// field counts as soon as its line has come.
func AppendRetry(b []byte, d time.Duration) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, d.Milliseconds(), 10)
	return append(b, '\n')
}

// AppendReady appends the frame that begins a stream of n channels, after its id
// line. channel returns the name of the i-th and where the client starts in it.
// The frame has data because browsers drop an id without data: a client that
// loses the connection before the first event resumes from this one.
func AppendReady(b []byte, n int, channel func(i int) (name string, at store.ID)) []byte {
	b = append(b, "event: gateway.ready\ndata: {\"channels\":{"...)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		name, at := channel(i)
		b = appendJSON(b, name)
		b = append(b, `:"`...)
		b = append(at.AppendTo(b), '"')
	}
	return append(b, "}}\n\n"...)
}

// AppendGap appends a gap event, after its id line. The client had channel up to
// after, "" if that is unknown, and is now at resumed. reason is one of
// package metrics.
func AppendGap(b []byte, channel, after string, resumed store.ID, reason string) []byte {
	b = append(b, "event: gateway.gap\ndata: {\"channel\":"...)
	b = appendJSON(b, channel)
	b = append(b, `,"after":`...)
	if after == "" {
		b = append(b, "null"...)
	} else {
		b = appendJSON(b, after)
	}
	b = append(b, `,"resumed":"`...)
	b = resumed.AppendTo(b)
	b = append(b, `","reason":`...)
	b = appendJSON(b, reason)
	return append(b, "}\n\n"...)
}

// AppendEnd appends the event that says that a channel has ended, after its id line.
func AppendEnd(b []byte, channel string) []byte {
	b = append(b, "event: gateway.end\ndata: {\"channel\":"...)
	return append(appendJSON(b, channel), "}\n\n"...)
}

// AppendPing appends the heartbeat for clients that want to see it. It has no id: it
// is not a position.
func AppendPing(b []byte, now time.Time) []byte {
	b = append(b, "event: gateway.ping\ndata: {\"time\":\""...)
	return append(now.UTC().AppendFormat(b, timeFormat), "\"}\n\n"...)
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// AppendStalled appends the event that says that Redis has been unreachable
// since a time. It has no id: it is not a position.
func AppendStalled(b []byte, since time.Time) []byte {
	return appendSince(append(b, "event: gateway.stalled\n"...), since)
}

// AppendLive appends the event that says that Redis is back since a time. It has
// no id: it is not a position.
func AppendLive(b []byte, since time.Time) []byte {
	return appendSince(append(b, "event: gateway.live\n"...), since)
}

func appendSince(b []byte, since time.Time) []byte {
	b = append(b, "data: {\"since\":\""...)
	b = since.UTC().AppendFormat(b, timeFormat)
	return append(b, "\"}\n\n"...)
}
