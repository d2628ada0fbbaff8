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

// view is what a node says of itself and of the cluster. The zero view knows
// nothing.
type view struct {
	epoch     int64        // the highest configuration epoch of any node that it knows
	replica   bool         // the node itself is a replica
	migrating map[int]bool // slots of the node itself that are on their way to another
}

// askView asks a node for its view.
func askView(c tail.Asker) (view, error) {
	reply, err := c.Do("CLUSTER", "NODES")
	text, _ := reply.(string)
	return parseNodes(text), err
}

// parseNodes reads CLUSTER NODES, which has a line for each node:
//
//	id ip:port@busport[,host] flags master ping pong epoch link slot slot-slot [slot->-importer] [slot-<-exporter] …
//
// See https://redis.io/docs/latest/commands/cluster-nodes/.
func parseNodes(text string) view {
	v := view{migrating: make(map[int]bool)}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		epoch, _ := strconv.ParseInt(f[6], 10, 64)
		v.epoch = max(v.epoch, epoch)
		if !strings.Contains(f[2], "myself") {
			continue
		}
		v.replica = !strings.Contains(f[2], "master")
		for _, word := range f[8:] {
			text, _, leaving := strings.Cut(strings.TrimPrefix(word, "["), "->-")
			if slot, err := strconv.Atoi(text); leaving && err == nil {
				v.migrating[slot] = true
			}
		}
	}
	return v
}
