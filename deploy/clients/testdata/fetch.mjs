// The project's own client on top of fetch. Usage: fetch.mjs URL
import { events } from "../../examples/pages/sse.mjs";

for await (const { event, data } of events(process.argv[2])) {
  if (event === "message") console.log(JSON.stringify(data));
}
