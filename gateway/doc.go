// Package gateway serves Redis Streams to browsers as Server-Sent Events. It is the
// HTTP front: it turns a request into a subscription or a problem.
//
// A request for a stream is parsed (request.go), takes a slot of the limits
// (admission.go), is authorized (package access), is opened by the engine
// (internal/engine), and is served by it. A refusal on the way is a problem
// (problem.go). The engine delivers the events; this package does not see them.
package gateway
