// The EventSource of Debian's node-eventsource. Usage: node-eventsource.cjs URL
const EventSource = require("eventsource");

new EventSource(process.argv[2]).onmessage = (e) => console.log(JSON.stringify(e.data));
