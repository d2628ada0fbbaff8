package main

import (
	"encoding/json"
	"fmt"
	"math/bits"
)

// subBucketBits splits every power of two into 128 buckets, so a bucket is at
// most 1/128 of its value wide and its middle is off by at most 0.4 %.
const subBucketBits = 7

// histogramBuckets covers 0 to 2^43 ns, 2.4 hours; longer values share the last bucket.
const histogramBuckets = (43-subBucketBits-1)<<subBucketBits + 2<<subBucketBits

// histogram is a log-linear (HDR style) histogram of durations in nanoseconds.
// The zero value is empty and ready. It is not safe for concurrent use.
type histogram struct {
	counts []uint64 // allocated by the first value
	count  uint64
	sum    float64
	max    int64
}

// bucketOf returns the bucket of a value that is not negative.
func bucketOf(v int64) int {
	u := uint64(v)
	if u < 2<<subBucketBits {
		return int(u)
	}
	shift := bits.Len64(u) - subBucketBits - 1
	return min(shift<<subBucketBits+int(u>>shift), histogramBuckets-1)
}

// bucketMiddle returns the value that stands for a bucket.
func bucketMiddle(i int) int64 {
	if i < 2<<subBucketBits {
		return int64(i)
	}
	shift := i>>subBucketBits - 1
	low := int64(i-shift<<subBucketBits) << shift
	return low + int64(1)<<shift/2
}

// add records one value; a negative one (clocks stepped back) counts as 0.
func (h *histogram) add(v int64) {
	if h.counts == nil {
		h.counts = make([]uint64, histogramBuckets)
	}
	v = max(v, 0)
	h.counts[bucketOf(v)]++
	h.count++
	h.sum += float64(v)
	h.max = max(h.max, v)
}

// merge adds everything that o holds.
func (h *histogram) merge(o *histogram) {
	if o.count == 0 {
		return
	}
	if h.counts == nil {
		h.counts = make([]uint64, histogramBuckets)
	}
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile returns the value that the fraction q (0 to 1) of all values do not
// exceed, within 1 %; 0 when the histogram is empty.
func (h *histogram) quantile(q float64) int64 {
	if h.count == 0 {
		return 0
	}
	rank := uint64(q*float64(h.count) + 0.5)
	rank = min(max(rank, 1), h.count)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(bucketMiddle(i), h.max)
		}
	}
	return h.max
}

// mean returns the exact mean in nanoseconds, 0 when empty.
func (h *histogram) mean() float64 {
	if h.count == 0 {
		return 0
	}
	return h.sum / float64(h.count)
}

// histogramJSON is the form in which a worker process hands its histogram on:
// pairs of bucket and count, the empty buckets left out.
type histogramJSON struct {
	Pairs [][2]uint64 `json:"pairs"`
	Sum   float64     `json:"sum"`
	Max   int64       `json:"max"`
}

// MarshalJSON writes the buckets that hold something.
func (h *histogram) MarshalJSON() ([]byte, error) {
	out := histogramJSON{Sum: h.sum, Max: h.max}
	for i, n := range h.counts {
		if n > 0 {
			out.Pairs = append(out.Pairs, [2]uint64{uint64(i), n})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON replaces the histogram by what MarshalJSON wrote.
func (h *histogram) UnmarshalJSON(b []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*h = histogram{sum: in.Sum, max: in.Max}
	if len(in.Pairs) > 0 {
		h.counts = make([]uint64, histogramBuckets)
	}
	for _, p := range in.Pairs {
		if p[0] >= histogramBuckets {
			return fmt.Errorf("histogram bucket %d out of range", p[0])
		}
		h.counts[p[0]] += p[1]
		h.count += p[1]
	}
	return nil
}
