#!/usr/bin/env node
// Prints what a subscriber with a Bearer token gets, one JSON object per line:
//
//   TOKEN=… node subscribe.mjs 'http://127.0.0.1:8080/events?channel=private:demo'
//
// TOKEN_URL instead of TOKEN is asked for one before each connection, and
// LAST_EVENT_ID is where to start.
import { events, tokenFrom } from "./pages/sse.mjs";

const { TOKEN, TOKEN_URL, LAST_EVENT_ID } = process.env;
const token = TOKEN_URL ? tokenFrom(TOKEN_URL) : TOKEN && (() => TOKEN);

try {
  for await (const event of events(process.argv[2], { token, lastEventId: LAST_EVENT_ID })) {
    console.log(JSON.stringify(event));
  }
} catch (error) {
  console.error(error.status ?? "", error.message);
  process.exit(1);
}
