// Package content is what streams are sent: it turns the cursors over channels into
// batches of event-stream frames. It does no I/O but reads of history.
//
//   - A [Topic] is a channel as all streams of a shard share it.
//   - A [Reader] has a client's cursors over its channels, and fills a batch with what
//     comes next for it.
//   - A [Broadcast] is one batch for all streams that stand at one place of a topic. The
//     window is read once for all of them, and each form of the batch is made once.
//
// Both give a client the same bytes. A Reader and a Broadcast belong to one goroutine at
// a time; a Topic may be used concurrently.
package content
