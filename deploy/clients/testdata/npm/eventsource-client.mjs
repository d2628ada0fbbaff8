// Usage: eventsource-client.mjs URL
import { createEventSource } from "eventsource-client";

createEventSource({
  url: process.argv[2],
  onMessage({ data, event }) {
    if (!event) console.log(JSON.stringify(data));
  },
});
