package deflate

import (
	"encoding/binary"
	"slices"
)

// Header begins every stream: deflate, no name, no time, an unknown system. It must
// not be changed.
var Header = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// flush is an empty stored block.
var flush = []byte{0, 0, 0, 0xff, 0xff}

// AppendFlush appends what makes a client's decompressor give out all that it has. A
// Block ends with it. A stored block needs it behind if the client is to have the data
// at once: zlib gives out a stored block as it comes, but Go's compress/flate, through
// which Go's HTTP client reads, waits for an empty one.
func AppendFlush(b []byte) []byte { return append(b, flush...) }

// AppendEnd appends the end of a stream whose data has the sum: an empty last block,
// and the trailer.
func AppendEnd(b []byte, sum Sum) []byte {
	b = append(b, 0x03, 0x00) // the last block, with fixed codes, of nothing but its end
	b = binary.LittleEndian.AppendUint32(b, sum.crc)
	return binary.LittleEndian.AppendUint32(b, sum.size)
}

const (
	// StoredRoom is the length of the header of a stored block, in bytes.
	StoredRoom = 5
	// maxStored is the most that a stored block can hold, in bytes.
	maxStored = 1<<16 - 1
)

// OpenStored appends room for the header of a stored block. What is appended to the
// result is data of the block, until CloseStored is called with the length of b.
func OpenStored(b []byte) []byte { return append(b, make([]byte, StoredRoom)...) }

// CloseStored ends the stored block that was opened where b had the length start. A
// block that is too long for its header becomes several, and an empty one is taken
// out.
func CloseStored(b []byte, start int) []byte {
	size := len(b) - start - StoredRoom
	if size == 0 {
		return b[:start]
	}
	more := (size - 1) / maxStored
	b = slices.Grow(b, more*StoredRoom)[:len(b)+more*StoredRoom]
	for i := more; i >= 0; i-- { // from the last, so that nothing is written over
		from := start + StoredRoom + i*maxStored
		n := min(size-i*maxStored, maxStored)
		to := from + i*StoredRoom
		copy(b[to:to+n], b[from:from+n])
		putStoredHeader(b[to-StoredRoom:to], n)
	}
	return b
}

// AppendStored appends p as stored blocks.
func AppendStored(b, p []byte) []byte {
	start := len(b)
	return CloseStored(append(OpenStored(b), p...), start)
}

// putStoredHeader writes the header of a stored block of n bytes that is not the last
// block.
func putStoredHeader(b []byte, n int) {
	b[0] = 0
	binary.LittleEndian.PutUint16(b[1:], uint16(n))
	binary.LittleEndian.PutUint16(b[3:], ^uint16(n))
}
