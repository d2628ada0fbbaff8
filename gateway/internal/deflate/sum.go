package deflate

import "hash/crc32"

// Sum is what the trailer of a gzip stream says of the data: its CRC-32 and its
// length modulo 2³². The zero value is that of no data.
type Sum struct{ crc, size uint32 }

// Add returns the sum of the data followed by p.
func (s Sum) Add(p []byte) Sum {
	return Sum{crc32.Update(s.crc, crc32.IEEETable, p), s.size + uint32(len(p))}
}

// Size returns the length of the data, in bytes, modulo 2³².
func (s Sum) Size() uint32 { return s.size }

// Part is the sum of data that follows other data.
type Part struct {
	sum   Sum
	shift uint32 // x to the power of the length in bits
}

// Part prepares the sum of less than 4 GiB of data for Join.
func (s Sum) Part() Part { return Part{s, power(s.size)} }

// Size returns the length of the part's data, in bytes.
func (p Part) Size() int { return int(p.sum.size) }

// Join returns the sum of the data followed by that of p. It takes some 50 ns,
// whatever the length.
func (s Sum) Join(p Part) Sum {
	return Sum{multiply(p.shift, s.crc) ^ p.sum.crc, s.size + p.sum.size}
}

// A CRC-32 is the remainder of the data, as a polynomial over GF(2), divided by the
// polynomial below. To append n zero bits to the data is to multiply the CRC by xⁿ,
// and the CRC of a concatenation is the sum of the two: zlib's crc32_combine. The bit
// of the highest value is the coefficient of x⁰.

const (
	polynomial = crc32.IEEE
	one        = uint32(1) << 31 // x⁰
)

// multiply returns the product of two remainders.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ polynomial&-(b&1)
	}
	return product
}

// squares has x to the powers 8, 16, 32, …: of one byte, two bytes, four bytes and so
// on.
var squares = func() (s [32]uint32) {
	s[0] = one >> 8
	for i := 1; i < len(s); i++ {
		s[i] = multiply(s[i-1], s[i-1])
	}
	return s
}()

// power returns x to the power of the number of bits in n bytes.
func power(n uint32) uint32 {
	p := one
	for i := 0; n != 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			p = multiply(squares[i], p)
		}
	}
	return p
}
