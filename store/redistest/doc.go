// Package redistest starts real Redis servers for tests: single servers,
// replicas, a Sentinel trio and a Redis Cluster, each on free loopback ports
// and in the test's own temporary directory, and a TCP proxy that breaks the
// network in front of one.
//
// Everything that is started ends with the test: a cleanup kills the process
// and waits for it, and on Linux the kernel kills it when the test binary
// itself dies. A missing program fails the test and names the package to
// install; nothing is ever skipped. When a test failed, the end of each
// server's output is in its log.
//
// What tests of programs beside Redis need too is here as well: Command, FreePort
// and FreeAddr, Output, Eventually and Poll.
//
// The harness reaches its servers as an ACL user of its own, so a test may
// limit or disable the default user, and can tell the harness's connections
// from those of the code under test.
//
// Methods fail the test through testing.TB.Fatalf on anything unexpected, so,
// like Fatalf, they belong on the test's own goroutine, unless their
// documentation says otherwise. Other goroutines use Client. Redis 7 or later
// is expected.
package redistest
