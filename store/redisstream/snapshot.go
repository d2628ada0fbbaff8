package redisstream

import (
	"context"
	"errors"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Command is a command about one stream, and what reads its reply: an error reply
// is its error.
type Command struct {
	Args []string
	Read func(*resp.Reader) error
}

// Querier sends commands about one key to the server that has it.
type Querier interface {
	// Pipeline sends the commands in one go, and has all replies read. The error
	// is that of the connection, or else the first of the commands' own.
	Pipeline(ctx context.Context, cmds ...Command) error
}

// SnapshotReader reads what a stream is and what a range command returns, at one
// moment: XINFO STREAM before and after them is the same if nothing has changed in
// between. Redis carries out the commands of a pipeline in one go, mostly. So no
// transaction is needed, which Redis refuses when it has reached maxmemory, and
// some proxies altogether.
type SnapshotReader struct {
	before, after Info
	first         ID
}

// Commands returns the commands of a snapshot. read reads the reply to args.
func (s *SnapshotReader) Commands(key string, args []string, read func(*resp.Reader) error) []Command {
	info := []string{"XINFO", "STREAM", key}
	first := EntryReader{Each: func(e Entry) { s.first = e.ID }}
	return []Command{
		{info, func(rd *resp.Reader) (err error) { s.before, err = ReadInfo(rd); return err }},
		{[]string{"XRANGE", key, "-", "+", "COUNT", "1"}, func(rd *resp.Reader) error { s.first = ID{}; return first.Read(rd) }},
		{args, read},
		{info, func(rd *resp.Reader) (err error) { s.after, err = ReadInfo(rd); return err }},
	}
}

// Info returns what the stream is. It is false if the stream changed meanwhile,
// and so what was read is not of one moment.
func (s *SnapshotReader) Info() (Info, bool) {
	info := s.before
	info.First = s.first
	return info, s.before == s.after
}

// ErrConcurrentChange is returned when a stream changes too fast to be read at one
// moment.
var ErrConcurrentChange = errors.New("the stream changes too fast to be read at one moment")

// snapshotTries is how often a snapshot is read until nothing has changed between
// its parts.
const snapshotTries = 10

// ReadSnapshot reads what the stream is and what the range command args returns,
// at one moment. read reads the reply to args, once for each attempt.
func ReadSnapshot(ctx context.Context, q Querier, key string, args []string, read func(*resp.Reader) error) (Info, error) {
	var s SnapshotReader
	cmds := s.Commands(key, args, read)
	for range snapshotTries {
		if err := q.Pipeline(ctx, cmds...); err != nil {
			return Info{}, err
		}
		if info, ok := s.Info(); ok {
			return info, nil
		}
	}
	return Info{}, ErrConcurrentChange
}
