package integrity

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// MinJSON is the smallest size of AppendJSON, in bytes: room for MinSize and for the
// braces, names and quotes around it.
const MinJSON = 160

// The words of the orders that AppendJSON makes up.
var (
	given    = []string{"Anna", "Mehmet", "Sofia", "Liam", "Chloé", "Jakub", "Ines", "Oliver", "Marta", "Noah"}
	family   = []string{"Schmidt", "Yilmaz", "Rossi", "Murphy", "Dubois", "Nowak", "Ferreira", "Jansen", "Kowalski", "Berg"}
	cities   = []string{"Berlin", "Hamburg", "Wien", "Paris", "Kraków", "Lisboa", "Utrecht", "Dublin", "Milano", "Oslo"}
	articles = []string{"USB-C cable 2 m", "Wireless mouse", "Desk lamp", "Notebook A5 dotted", "Water bottle 750 ml", "Mechanical keyboard", "Monitor arm", "Bicycle lock", "Headphones", "Rain jacket M"}
	states   = []string{"allocated", "picked", "packed", "shipped", "backordered"}
	notes    = []string{"please", "leave", "the", "parcel", "at", "reception", "or", "with", "a", "neighbour", "if", "nobody", "is", "home", "and", "ring", "twice", "before", "noon"}
)

// AppendJSON writes a payload as one JSON object of size bytes, as an application might
// publish it: an order with its customer, as many items as there is room for, and a
// note. The names repeat within an event and between events, the values differ.
func AppendJSON(b []byte, run string, p Payload, size int) []byte {
	r := rand.New(rand.NewPCG(uint64(p.Channel), uint64(p.Seq)))
	start := len(b)
	room := func(n int) bool { return len(b)-start+n <= size }
	b = AppendPayload(append(b, `{"trace":"`...), run, p, 0)
	b = append(b, '"')
	if room(300) {
		b = appendOrder(b, r, time.Unix(0, p.Due))
	}
	if room(360) {
		b = append(b, `,"items":[`...)
		for n := 1; room(240); n++ {
			b = append(appendItem(b, r, n), ',')
		}
		b[len(b)-1] = ']'
	}
	b = append(b, `,"note":"`...)
	for len(b)-start < size {
		b = append(append(b, notes[r.IntN(len(notes))]...), ' ')
	}
	return append(b[:start+size-len(`"}`)], `"}`...)
}

func appendOrder(b []byte, r *rand.Rand, at time.Time) []byte {
	first, last := pick(r, given), pick(r, family)
	b = strconv.AppendUint(append(b, `,"type":"order.updated","id":"ord_`...), r.Uint64N(1<<50), 36)
	b = at.UTC().AppendFormat(append(b, `","updatedAt":"`...), "2006-01-02T15:04:05.000Z")
	b = strconv.AppendUint(append(b, `","customer":{"id":`...), r.Uint64N(1_000_000), 10)
	b = append(append(append(append(b, `,"name":"`...), first...), ' '), last...)
	b = append(append(b, `","city":"`...), pick(r, cities)...)
	b = strconv.AppendUint(append(b, `","postcode":"`...), 10_000+r.Uint64N(90_000), 10)
	b = appendPrice(append(b, `"},"currency":"EUR","total":`...), r, 100_000)
	return b
}

func appendItem(b []byte, r *rand.Rand, n int) []byte {
	b = strconv.AppendInt(append(b, `{"line":`...), int64(n), 10)
	b = strconv.AppendUint(append(b, `,"sku":"`...), 100_000+r.Uint64N(900_000), 10)
	b = append(append(b, `","title":"`...), pick(r, articles)...)
	b = strconv.AppendUint(append(b, `","quantity":`...), 1+r.Uint64N(9), 10)
	b = appendPrice(append(b, `,"unitPrice":`...), r, 20_000)
	b = append(append(b, `,"taxRate":0.19,"status":"`...), pick(r, states)...)
	b = strconv.AppendUint(append(b, `","shipment":"`...), r.Uint64N(1<<40), 36)
	return append(b, `"}`...)
}

func appendPrice(b []byte, r *rand.Rand, cents int) []byte {
	return strconv.AppendFloat(b, float64(r.IntN(cents))/100, 'f', 2, 64)
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }
