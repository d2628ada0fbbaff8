// The tour, second: the replica that serves the page is killed, and nothing is lost.

import { Experiment, pause } from "./experiment.mjs";

const PUBLISH_PAUSE = 60; // milliseconds
const BEFORE = 10; // events before the kill and after the return

// killReplica publishes all the time, kills the replica that serves the page, and
// counts what the browser has after it came back by itself. say tells what happens.
export async function killReplica(prefix, say) {
  const run = new Experiment("kill", prefix);
  run.connect("replay=all");
  const publishing = { on: true };
  const published = publishAll(run, publishing);
  // Should anything else fail first, this one's failure is not unheard of.
  published.catch(() => {});
  try {
    await run.until(() => run.received >= BEFORE);
    say(`Replica ${await run.serving()} serves this page.`);
    const killed = await run.kill();
    say(`Replica ${killed} was killed: its connections are reset. Events are published all the same, and the browser comes back by itself.`);
    await Promise.race([run.until(() => run.opened >= 2), published]);
    const other = await run.serving();
    const fresh = run.received + run.comparison.missing.size + BEFORE;
    await Promise.race([run.until(() => run.received >= fresh), published]);
    publishing.on = false;
    await published;
    await run.until(() => run.comparison.pending.size === run.comparison.lost());
    const { ok, text } = run.comparison.verdict();
    const lost = run.comparison.lost();
    const good = ok && lost === 0 && run.repeated === 0;
    say(`Replica ${killed} was killed, replica ${other} went on. ${text} ${lost} lost.`, good ? "good" : "problem");
  } finally {
    publishing.on = false;
    run.disconnect();
  }
}

async function publishAll(run, publishing) {
  while (publishing.on) {
    await run.publish({ data: String(run.published + 1) });
    await pause(PUBLISH_PAUSE);
  }
}
