package topology

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/goredis"
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

// maxAsked is how many nodes are asked for the map of slots at once: enough that
// one which is cut off from the others does not decide, few enough for large
// clusters.
const maxAsked = 5

// clusterMap is what one node says of the cluster.
type clusterMap struct {
	ranges []redis.ClusterSlot
	epoch  int64 // the highest configuration epoch of any node that it knows
}

// askSlots asks nodes of the cluster, known ones and those of the URL, for the
// map of slots, and believes the one that knows the highest configuration
// epoch.
func (t *cluster) askSlots(ctx context.Context) ([]redis.ClusterSlot, error) {
	best, errs := clusterMap{epoch: -1}, []error(nil)
	for addrs := range slices.Chunk(t.knownAddrs(), maxAsked) {
		errs = append(errs, askAll(ctx, addrs, t.askMap, func(m clusterMap) (enough bool) {
			if m.epoch > best.epoch {
				best = m
			}
			return false
		}))
		if best.epoch >= 0 || ctx.Err() != nil {
			break
		}
	}
	if best.epoch < 0 {
		return nil, errors.Join(append(errs, errNoNode)...)
	}
	return best.ranges, nil
}

// knownAddrs returns the nodes to ask, in random order, and those of the URL
// that are not among them.
func (t *cluster) knownAddrs() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	addrs := make([]string, 0, len(t.nodes)+len(t.clients.options.Address.Addrs))
	for addr := range t.nodes {
		addrs = append(addrs, addr)
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	for _, addr := range t.clients.options.Address.Addrs {
		if t.nodes[addr] == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// askMap asks one node for the map of slots.
func (t *cluster) askMap(ctx context.Context, addr string) (clusterMap, error) {
	pipe := t.clients.at(addr).Pipeline()
	// Not CLUSTER SHARDS, which needs Redis 7.
	slotsCmd := pipe.ClusterSlots(ctx)
	nodesCmd := pipe.ClusterNodes(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return clusterMap{}, err
	}
	ranges := slotsCmd.Val()
	if len(ranges) == 0 {
		return clusterMap{}, errNoNode
	}
	for i := range ranges {
		for j, n := range ranges[i].Nodes {
			ranges[i].Nodes[j].Addr = goredis.Absolute(n.Addr, addr)
		}
	}
	return clusterMap{ranges, highestEpoch(nodesCmd.Val())}, nil
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
