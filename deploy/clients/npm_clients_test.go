package clients

import (
	"context"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const npmDrivers = "/npm/drivers.mjs"

// npmClients are those that npm installs, for `make clients`.
var npmClients = []client{
	{name: "eventsource (npm)", how: "as it is", start: startNPM("eventsource.mjs")},
	{name: "eventsource-client (npm)", how: "as it is", start: startNPM("eventsource-client.mjs"), again: "401"},
	{name: "event-source-polyfill", how: "as it is", browser: "chromium", module: npmDrivers, driver: "polyfill"},
	{name: "reconnecting-eventsource", how: "as it is", browser: "chromium", module: npmDrivers, driver: "reconnecting", again: "204 401"},
	{name: "@microsoft/fetch-event-source", how: "as its README begins", browser: "chromium", module: npmDrivers, driver: "fetching", failsAt: roll,
		why: "it takes the orderly end of a response for the end of the subscription"},
	{name: "@microsoft/fetch-event-source", how: "with `onclose` and `onopen` that throw, `testdata/npm/drivers.mjs`", browser: "chromium", module: npmDrivers, driver: "fetchingOn"},
	{name: "sse.js", how: "as its README begins", browser: "chromium", module: npmDrivers, driver: "sse", failsAt: roll,
		why: "it takes the orderly end of a response for the end of the subscription"},
	{name: "sse.js", how: "with `autoReconnect`", browser: "chromium", module: npmDrivers, driver: "sseOn", again: "204 401"},
}

// startNPM returns what starts a script of testdata/npm.
func startNPM(script string) func(context.Context, *reader) {
	return func(_ context.Context, r *reader) {
		startProcess(r.t, nil, r.jsonMessage, redistest.Command(r.t, "node", "nodejs"), "testdata/npm/"+script, r.url)
	}
}
