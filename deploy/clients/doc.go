// Package clients holds the gateway against clients that people use: each reads
// numbered events while gateways are rolled and killed, refuse, and lose Redis.
// README.md is the outcome. The module is apart so that the gateway's own
// go.mod does not name these clients.
package clients
