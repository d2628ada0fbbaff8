// Usage: eventsource.mjs URL
import { EventSource } from "eventsource";

new EventSource(process.argv[2]).onmessage = (e) => console.log(JSON.stringify(e.data));
