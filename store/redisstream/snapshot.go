package redisstream

import (
	"cmp"
	"context"
	"errors"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Command is a command about one stream, and what takes its reply. Error
// replies go to the Sink as well, whose Err returns the last one.
type Command struct {
	Args []string
	Sink ReplySink
}

// ReplySink takes the replies of a Command. After an error reply it may be given
// another reply to the same command.
type ReplySink interface {
	resp.Sink
	Err() error
}

// Querier sends commands about one key to the server that has it.
type Querier interface {
	// Pipeline sends the commands in one go. Its errors are those of the
	// connection.
	Pipeline(ctx context.Context, cmds ...Command) error
	// Transaction is Pipeline as one MULTI. Its error may also be an error
	// reply: why the server has not carried it out.
	Transaction(ctx context.Context, cmds ...Command) error
}

// ErrConcurrentChange is returned when a stream changes too fast to be read
// without a transaction.
var ErrConcurrentChange = errors.New("the stream changes too fast to be read without a transaction")

// SnapshotFunc is ReadSnapshot or ReadSnapshotOptimistic.
type SnapshotFunc func(ctx context.Context, q Querier, key string, args []string, newReader func() *EntryReader) (Info, *EntryReader, error)

// ReadSnapshot reads what the stream is and what the range command args returns,
// at one moment. newReader makes the reader for each attempt; the last one is
// returned. The error may be an error reply to either command.
func ReadSnapshot(ctx context.Context, q Querier, key string, args []string, newReader func() *EntryReader) (Info, *EntryReader, error) {
	var info InfoReader
	entries := newReader()
	err := q.Transaction(ctx, infoCommand(key, &info), Command{args, entries})
	switch {
	case NeedsOptimism(err):
		return ReadSnapshotOptimistic(ctx, q, key, args, newReader)
	case err != nil:
		return Info{}, nil, err
	}
	return completed(ctx, q, key, &info, entries)
}

// NeedsOptimism reports that a transaction failed for a reason that does not
// concern the commands by themselves: Redis has reached maxmemory, or a proxy
// does not know MULTI.
func NeedsOptimism(err error) bool { return resp.IsOutOfMemory(err) || resp.IsUnsupported(err) }

func infoCommand(key string, sink *InfoReader) Command {
	return Command{[]string{"XINFO", "STREAM", key}, sink}
}

// optimisticTries is how often a snapshot is read without a transaction until
// nothing has changed between its parts.
const optimisticTries = 10

// ReadSnapshotOptimistic is ReadSnapshot without a transaction: XINFO before and
// after, which are the same if nothing has changed in between.
func ReadSnapshotOptimistic(ctx context.Context, q Querier, key string, args []string, newReader func() *EntryReader) (Info, *EntryReader, error) {
	for range optimisticTries {
		var before, after InfoReader
		entries := newReader()
		if err := q.Pipeline(ctx, infoCommand(key, &before), Command{args, entries}, infoCommand(key, &after)); err != nil {
			return Info{}, nil, err
		}
		if before.info == after.info {
			return completed(ctx, q, key, &before, entries)
		}
	}
	return Info{}, nil, ErrConcurrentChange
}

// completed returns the parts of a snapshot, with the first entry if the server
// does not tell it.
func completed(ctx context.Context, q Querier, key string, r *InfoReader, entries *EntryReader) (Info, *EntryReader, error) {
	info, err := r.Info()
	if err = cmp.Or(err, entries.Err()); err == nil && info.Partial {
		info.First, _, err = FirstBetween(ctx, q, key, ID{}, MaxID)
	}
	return info, entries, err
}

// FirstBetween returns the first entry of the stream from one id to another; ok
// is false if there is none.
func FirstBetween(ctx context.Context, q Querier, key string, from, to ID) (id ID, ok bool, err error) {
	r := &EntryReader{Each: func(e Entry) { id, ok = e.ID, true }}
	err = q.Pipeline(ctx, Command{[]string{"XRANGE", key, from.String(), to.String(), "COUNT", "1"}, r})
	return id, ok, cmp.Or(err, r.Err())
}
