// Package store keeps the recent past of Redis Streams in memory and follows
// them: it hands out cursors over channels, one stream per channel, that read
// from memory when they can and from Redis when they must.
//
// A replica follows each channel once, whoever and however many are subscribed.
// Delivery of what is new, resume after a reconnect, catching up after falling
// behind and replay are all the same operation: Cursor.Next, and Cursor.Fetch
// where memory does not reach.
//
// The parts, from the bottom up:
//
//	redisurl     addresses of Redis
//	resp         the protocol on one connection
//	redisstream  ids, entries, what a stream is, and whether it still is the same
//	eventlog     the recent past of one stream in memory, and cursors over it
//	tail         follows the streams of one server
//	topology     which servers there are, and which has a key
//	store        channels, subscriptions, and reads of what memory does not have
//
// Nothing is written to Redis. REDIS.md has the rights that the gateway's user needs.
//
// # Invariants
//
//   - A channel is followed while it has a subscription, and for Config.WindowLinger
//     after. It has one tail.Source at most.
//   - All who read older entries at one position share one read, and a node has a
//     bounded number of reads at a time.
//   - A page of history never reaches past the head of the log: what lies beyond is the
//     tail's to tell.
//
// # Example
//
//	sub, err := st.Subscribe(ctx, "orders", waker) // waker.Wake: there may be something new
//	cursor := sub.After(id)                        // where the client is
//	batch, state := cursor.Next(64 << 10)          // from memory
//	if state == store.Behind {
//		batch, err = cursor.Fetch(ctx) // a page of history, from Redis
//	}
package store
