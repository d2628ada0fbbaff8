// Package client is the subscribers of one process: EventSources that follow the
// rules of browsers, without a browser. A Worker is driven by requests that are
// plain structs, so that it works the same in this process and in another one. Its
// subscribers belong to one group and one engine; the engine moves bytes (with
// epoll, or with a goroutine per connection), package stream reads them, the group
// says what they mean, and package integrity judges what arrived.
//
// A stream that rests costs some 300 bytes here, because a load client may have a
// million of them: buffers are shared by all streams of a group, and a stream has
// its own only while it holds half a line.
package client
