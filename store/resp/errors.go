package resp

import (
	"errors"
	"slices"
	"strings"
)

// replyError is what error replies are: Error, and those of go-redis.
type replyError interface {
	error
	RedisError()
}

// IsReply reports whether err is, or wraps, an error reply.
func IsReply(err error) bool {
	var reply replyError
	return errors.As(err, &reply)
}

func hasPrefix(err error, prefixes ...string) bool {
	var reply replyError
	return errors.As(err, &reply) &&
		slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(reply.Error(), p) })
}

// IsWrongType reports that a key holds something other than a stream.
func IsWrongType(err error) bool { return hasPrefix(err, "WRONGTYPE") }

// IsDenied reports an error of authentication, of the access control list, or of
// protected mode.
func IsDenied(err error) bool {
	return hasPrefix(err, "NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH",
		"ERR invalid username-password", "NOPASS", "DENIED")
}

// IsMoved reports that another node has the key for good.
func IsMoved(err error) bool { return hasPrefix(err, "MOVED ") }

// IsAsk reports that another node has the key for the moment.
func IsAsk(err error) bool { return hasPrefix(err, "ASK ") }

// IsLoading reports that the server cannot serve yet, or for the moment.
func IsLoading(err error) bool {
	return hasPrefix(err, "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "ERR max number of clients")
}

// IsOutOfMemory reports that Redis has reached maxmemory. It then refuses even
// reads in a transaction, because it would have to remember them.
func IsOutOfMemory(err error) bool { return hasPrefix(err, "OOM ") }

// IsUnsupported reports an error reply that tells, whatever its words, that the
// server does not know or does not offer a command: any that is not about who
// asks or when.
func IsUnsupported(err error) bool {
	return IsReply(err) && !IsDenied(err) && !IsLoading(err) && !IsMoved(err) && !IsAsk(err) &&
		!IsOutOfMemory(err) && !IsWrongType(err)
}
