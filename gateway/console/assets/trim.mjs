// The tour, third: Redis removes events while the client is away, and the client is
// told.

import { byId, setText } from "./dom.mjs";
import { Experiment } from "./experiment.mjs";

const KEEP = 5; // entries that the stream keeps
const BEFORE = 5; // events before the client leaves
const AWAY = 25; // and while it is away

// trimAway has the client come back after more events than Redis keeps. The replica that
// served it is killed, for it still has them in memory. say tells what happens.
export async function trimAway(prefix, say) {
  const run = new Experiment("trim", prefix);
  const frame = byId("tour-trim-frame");
  setText(frame, "");
  try {
    run.connect("replay=all");
    for (let i = 0; i < BEFORE; i++) await run.publish({ data: `before ${i}` });
    await run.until(() => run.received === BEFORE);
    await run.kill();
    run.disconnect();
    const position = run.lastId;
    say("The client is away, and the replica that had its events in memory was killed.");
    for (let i = 0; i < AWAY; i++) await run.publish({ data: `away ${i}`, keep: KEEP });
    run.comparison.back();
    run.connect(`last_event_id=${position}`);
    run.source.addEventListener("gateway.gap", (e) => setText(frame, `event: gateway.gap\ndata: ${e.data}`));
    await run.until(() => run.comparison.verdict().done);
    const { ok, text } = run.comparison.verdict();
    say(text, ok && run.told() > 0 ? "good" : "problem");
  } finally {
    run.disconnect();
  }
}
