// Command sse-gateway serves Redis Streams to browsers as Server-Sent Events.
//
// main parses and calls run; run reads the configuration and calls the command, which
// is serve unless another is named. The tests call run as well, on free ports.
//
//   - The environment is the configuration. The fields of config describe the
//     variables; the help, CONFIG.md and the checks are made from them.
//   - Both listeners are bound before anything is served, so that a port that is taken
//     is an error of the start.
//   - An error ends the process once, at the top: exit code 1, or 2 for a mistake in
//     the command line or the configuration.
//   - After SIGTERM the process lives no longer than SSE_DRAIN_DELAY, SSE_DRAIN_WINDOW
//     and 5 s.
package main
