//go:build unix

package main

import "golang.org/x/sys/unix"

// minReserve is how many descriptors are left for everything else where a tenth
// of the limit is fewer.
const minReserve = 64

// connectionLimit returns how many connections the file limit allows, with a
// tenth left for everything else: Redis, the admin listener, requests that are
// not streams yet. Go has raised the soft limit to the hard one at start.
func connectionLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return fallbackConnectionLimit
	}
	files := int(limit.Cur)
	return max(files-max(files/10, minReserve), 1)
}

// descriptorCeiling returns how many descriptors clients may have in all,
// streams or not: half of what connectionLimit leaves is for Redis and the
// like.
func descriptorCeiling() int {
	limit := connectionLimit()
	return limit + limit/20
}
