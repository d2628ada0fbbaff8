package topology

import (
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store/tail"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// slotOf returns the hash slot of a key: CRC-16/XMODEM of the key or its hash
// tag. See https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model.
func slotOf(key string) int {
	if _, rest, found := strings.Cut(key, "{"); found {
		if tag, _, closed := strings.Cut(rest, "}"); closed && tag != "" {
			key = tag
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % slots)
}

// highestEpoch returns the highest configuration epoch in the reply to CLUSTER
// NODES; see parseNode for its form.
func highestEpoch(nodes string) (highest int64) {
	for line := range strings.Lines(nodes) {
		if f := strings.Fields(line); len(f) >= 8 {
			epoch, _ := strconv.ParseInt(f[6], 10, 64)
			highest = max(highest, epoch)
		}
	}
	return highest
}

// self is what a node says of itself.
type self struct {
	master    bool
	migrating map[int]bool // slots that are on their way to another node
}

// askSelf asks a node what it is; nil if it does not say.
func askSelf(c tail.Asker) (*self, error) {
	reply, err := c.Do("CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	text, _ := reply.(string)
	for line := range strings.Lines(text) {
		if s := parseSelf(line); s != nil {
			return s, nil
		}
	}
	return nil, nil
}

// parseSelf reads the line of CLUSTER NODES that a node has about itself; nil
// for the other lines:
//
//	id ip:port@busport[,host] flags master ping pong epoch link slot slot-slot [slot->-importer] [slot-<-exporter] …
//
// See https://redis.io/docs/latest/commands/cluster-nodes/.
func parseSelf(line string) *self {
	f := strings.Fields(line)
	if len(f) < 8 || !strings.Contains(f[2], "myself") {
		return nil
	}
	s := &self{master: strings.Contains(f[2], "master"), migrating: make(map[int]bool)}
	for _, word := range f[8:] {
		if text, _, leaving := strings.Cut(strings.TrimPrefix(word, "["), "->-"); leaving {
			if slot, err := strconv.Atoi(text); err == nil {
				s.migrating[slot] = true
			}
		}
	}
	return s
}
