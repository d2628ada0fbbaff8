// The tour, first: an answer that streams, token by token, and ends.

import { byId, setText } from "./dom.mjs";
import { Experiment, pause } from "./experiment.mjs";

const ANSWER =
  "Every word you see appear is an entry of a Redis stream, delivered the moment it was added. " +
  "Reload, lose the network, switch replicas: nothing is missed. " +
  "And when the answer is complete, the connection ends for good.";
const TOKEN_PAUSE = 35; // milliseconds

// streamAnswer plays the language model and its reader. say tells what happens.
export async function streamAnswer(prefix, say) {
  const run = new Experiment("answer", prefix);
  const text = byId("tour-answer-text");
  setText(text, "");
  setText(byId("tour-answer-status"), "–");
  let end = "";
  run.connect("replay=all");
  run.source.addEventListener("message", (e) => text.append(e.data));
  run.source.addEventListener("gateway.end", (e) => {
    end = e.lastEventId;
  });
  try {
    say("The answer streams.");
    for (const token of ANSWER.match(/\S+\s*/g)) {
      await run.publish({ data: token });
      await pause(TOKEN_PAUSE);
    }
    await run.end();
    await run.until(() => end !== "");
    say("gateway.end has come. The browser asks for more once, as EventSource does.");
    while (run.source.readyState !== EventSource.CLOSED) await pause(20);
    const again = await fetch(run.url(`last_event_id=${end}`), { headers: { Accept: "text/event-stream" } });
    setText(byId("tour-answer-status"), String(again.status));
    if (again.status !== 204) throw new Error(`The ended channel was answered ${again.status}, not 204.`);
    say(`Complete: ${run.received} of ${run.published} tokens. Asked for more, the gateway says 204, and the browser stops for good.`, "good");
  } finally {
    run.disconnect();
  }
}
