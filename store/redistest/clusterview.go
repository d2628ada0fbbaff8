package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// Slot returns the hash slot of a key, by the part between the first { and the
// next } if that is not empty. See
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model.
func Slot(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	// CRC-16/XMODEM, bit by bit: this is a test's tool, and not a copy of the
	// table that it may be used to test.
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return int(crc) % slots
}

// view is one line of CLUSTER NODES: what one node thinks of another.
type view struct {
	id     string
	port   int
	flags  []string // myself, master, slave, fail?, fail, handshake, noaddr
	master string   // id of a replica's master, else "-"
	epoch  int
	linked bool
	slots  []slotRange
}

type slotRange struct{ first, last int }

func (v view) is(flag string) bool { return slices.Contains(v.flags, flag) }

func (v view) owns(slot int) bool {
	return v.is("master") && slices.ContainsFunc(v.slots, func(r slotRange) bool { return r.first <= slot && slot <= r.last })
}

// views returns what a node thinks of all nodes, by their order of port.
func (s *Server) views() ([]view, error) {
	reply, err := s.try("CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	text, _ := reply.(string)
	var all []view
	for line := range strings.Lines(text) {
		v, err := parseView(line)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER NODES says %q: %w", line, err)
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b view) int { return a.port - b.port })
	return all, nil
}

// parseView reads "id ip:port@busport[,host] flags master ping pong epoch link
// slot slot-slot [slot->-importer] …".
func parseView(line string) (view, error) {
	f := strings.Fields(line)
	if len(f) < 8 {
		return view{}, fmt.Errorf("it has %d fields", len(f))
	}
	addr, _, _ := strings.Cut(f[1], "@")
	port, err := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	if err != nil {
		return view{}, err
	}
	epoch, err := strconv.Atoi(f[6])
	if err != nil {
		return view{}, err
	}
	v := view{id: f[0], port: port, flags: strings.Split(f[2], ","), master: f[3], epoch: epoch, linked: f[7] == "connected"}
	for _, word := range f[8:] {
		if strings.HasPrefix(word, "[") {
			continue // a slot on the move, which its owner also lists as its own
		}
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		var r slotRange
		if r.first, err = strconv.Atoi(first); err != nil {
			return view{}, err
		}
		if r.last, err = strconv.Atoi(last); err != nil {
			return view{}, err
		}
		v.slots = append(v.slots, r)
	}
	return v, nil
}

// self returns what a node thinks of itself.
func (s *Server) self() (view, error) {
	all, err := s.views()
	if err != nil {
		return view{}, err
	}
	for _, v := range all {
		if v.is("myself") {
			v.port = s.port
			return v, nil
		}
	}
	return view{}, fmt.Errorf("CLUSTER NODES of %s does not list itself", s)
}

// id returns the node's id.
func (s *Server) id() string {
	s.t.Helper()
	return s.text("CLUSTER", "MYID")
}

// owners describes who owns what in the eyes of one node.
func owners(all []view) string {
	var b strings.Builder
	for _, v := range all {
		if v.is("master") && len(v.slots) > 0 {
			fmt.Fprint(&b, v.port, v.slots, " ")
		}
	}
	return b.String()
}
