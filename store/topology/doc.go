// Package topology knows which servers a Redis consists of, which of them has a
// key, and which one of a master and its replicas is read from.
//
//   - single: one server, at the address of the URL.
//   - sentinel: the master that the sentinels name, or a replica of it. All
//     sentinels are asked; the one with the highest configuration epoch is
//     believed, because one that is cut off from the others goes on naming the
//     old master.
//   - cluster: a node for each master. Several nodes are asked for the map of
//     slots; the one that knows the highest configuration epoch is believed, for
//     the same reason.
//
// A Node is a master with its replicas. The tail and the reads of history of a
// key use the same server of it, so that they never see two different copies of a
// stream.
//
// # Replicas
//
// A replica may be behind its master. Once a second it proves that it is not, by
// replication offsets: the master is asked how far it is, then the replica until
// it has come as far. One that does not for lagPatience is left for another one,
// or for the master. What a replica seems to have lost counts only if the master
// has lost it too; see Node.Master.
package topology
