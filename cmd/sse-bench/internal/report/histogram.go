package report

import (
	"encoding/json"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// longest is the longest duration that is told from longer ones.
	longest = 2 * time.Hour
	// digits is how many significant digits a duration keeps: it is off by less
	// than 1 %.
	digits = 2
)

// Histogram is a histogram of durations in nanoseconds. The zero value is empty
// and ready, and small until something is added. It is not safe for concurrent use.
type Histogram struct{ h *hdrhistogram.Histogram }

func (h *Histogram) made() *hdrhistogram.Histogram {
	if h.h == nil {
		h.h = hdrhistogram.New(1, int64(longest), digits)
	}
	return h.h
}

// Add records one value; a negative one (clocks stepped back) counts as 0.
func (h *Histogram) Add(v int64) {
	_ = h.made().RecordValue(min(max(v, 0), int64(longest))) // within the range: no error
}

// Merge adds everything that o holds.
func (h *Histogram) Merge(o *Histogram) {
	if o.Count() > 0 {
		h.made().Merge(o.h)
	}
}

// Count returns how many values there are.
func (h *Histogram) Count() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Quantile returns the value that the fraction q (0 to 1) of all values do not
// exceed, within 1 %; 0 when there is none.
func (h *Histogram) Quantile(q float64) int64 {
	if h.h == nil {
		return 0
	}
	return h.h.ValueAtQuantile(q * 100)
}

// MarshalJSON writes the histogram's own compressed form, null for an empty one.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	if h.h == nil {
		return []byte("null"), nil
	}
	text, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}

// UnmarshalJSON replaces the histogram by what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(b []byte) (err error) {
	var text string
	if err := json.Unmarshal(b, &text); err != nil || text == "" {
		h.h = nil
		return err
	}
	h.h, err = hdrhistogram.Decode([]byte(text))
	return err
}
