//go:build unix

package listener

import "golang.org/x/sys/unix"

// minReserve is how many descriptors are left for everything else where a tenth
// of the limit is fewer.
const minReserve = 64

// ConnectionLimit returns how many connections the limit of open files allows,
// with a tenth left for everything else: Redis, the admin listener, pending
// connections. Go has raised the soft limit to the hard one at start.
func ConnectionLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return unknownConnectionLimit
	}
	files := int(limit.Cur)
	return max(files-max(files/10, minReserve), 1)
}

// MaxFDs returns how many descriptors clients may have in all, streams or
// pending: half of what ConnectionLimit leaves is for Redis and the like.
func MaxFDs() int {
	limit := ConnectionLimit()
	return limit + limit/20
}
