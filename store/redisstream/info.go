package redisstream

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Info is what XINFO STREAM tells of a stream, and its first entry.
// See https://redis.io/docs/latest/commands/xinfo-stream/.
type Info struct {
	Exists  bool
	Length  int64
	Last    ID    // last-generated-id
	Added   int64 // entries-added, -1 where the server does not count (Redis before 7.0)
	Deleted ID    // max-deleted-entry-id; 0-0 where the server does not keep it (Redis before 7.0)
	First   ID    // the first entry, 0-0 if there is none; of ReadSnapshot
	Newest  ID    // the last entry, 0-0 if there is none
	Size    int   // of the last entry's names and values, in bytes
}

// ReadInfo reads the reply to XINFO STREAM. A key that does not exist gives Exists
// false; a key that is no stream, the error of the server. Fields that are not
// known are skipped, whatever they hold.
func ReadInfo(rd *resp.Reader) (Info, error) {
	info := Info{Exists: true, Added: -1}
	h, err := rd.Reply()
	switch {
	case resp.IsReply(err) && strings.HasPrefix(strings.ToLower(err.Error()), "err no such key"):
		return Info{}, nil
	case err != nil:
		return Info{}, err
	case !h.IsAggregate() || h.Len%2 != 0:
		return Info{}, wrong(h, "names and values of XINFO STREAM were")
	}
	var hasLength, hasLast bool
	for range h.Len / 2 {
		h, err := rd.Next()
		if err == nil && !h.IsString() {
			err = wrong(h, "the name of a field of XINFO STREAM was")
		}
		if err != nil {
			return Info{}, err
		}
		name, err := rd.Text(h)
		if err != nil {
			return Info{}, err
		}
		switch string(name) { // nil for one that is longer than any that is known
		case "length":
			info.Length, err = readInt(rd)
			hasLength = true
		case "entries-added":
			info.Added, err = readInt(rd)
		case "last-generated-id":
			info.Last, err = readNextID(rd)
			hasLast = true
		case "max-deleted-entry-id":
			info.Deleted, err = readNextID(rd)
		case "last-entry":
			info.Newest, info.Size, err = readSize(rd)
		default:
			if h, err = rd.Next(); err == nil {
				err = rd.Skip(h)
			}
		}
		if err != nil {
			return Info{}, fmt.Errorf("XINFO STREAM: %w", err)
		}
	}
	if !hasLength || !hasLast {
		return Info{}, fmt.Errorf("%w: XINFO STREAM does not tell length and last-generated-id", resp.ErrProtocol)
	}
	return info, nil
}

func readInt(rd *resp.Reader) (int64, error) {
	text, err := rd.NextText()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		err = fmt.Errorf("%w: %.20q where a number was expected", resp.ErrProtocol, text)
	}
	return n, err
}

// readNextID reads an id. The embedded server's is empty for a stream that has had
// no entry.
func readNextID(rd *resp.Reader) (ID, error) {
	h, err := rd.Next()
	if err != nil || h.IsString() && h.Len == 0 {
		return ID{}, cmp.Or(err, rd.Skip(h))
	}
	return readID(rd, h)
}

// readSize reads an entry, or null if there is none, of which the id and the size
// are of interest.
func readSize(rd *resp.Reader) (id ID, size int, err error) {
	h, err := rd.Next()
	if err != nil || h.Kind == resp.Null {
		return ID{}, 0, err
	}
	if id, err = readEntryID(rd, h); err != nil {
		return ID{}, 0, err
	}
	n, err := fieldCount(rd)
	for ; n > 0 && err == nil; n-- {
		if h, err = rd.Next(); err != nil {
			break
		}
		if size += h.Len; !h.IsString() {
			err = wrong(h, "a name or value was")
		} else {
			err = rd.Skip(h)
		}
	}
	return id, size, err
}
