// The tour: three experiments with the gateway itself, each behind a button, and all of
// them behind one.

import { streamAnswer } from "./answer.mjs";
import { byId, el, setText } from "./dom.mjs";
import { pause, replicas } from "./experiment.mjs";
import { killReplica } from "./resume.mjs";
import { trimAway } from "./trim.mjs";
import { visible } from "./text.mjs";

const EXPERIMENTS = { answer: streamAnswer, kill: killReplica, trim: trimAway };

// startTour shows the tour if the gateway offers it.
export function startTour(settings) {
  if (settings.tour === "") return;
  byId("tour").hidden = false;
  const buttons = [...document.querySelectorAll("#tour button")];
  let busy = false; // rather than disabled buttons, which would lose the focus
  const play = async (names) => {
    if (busy) return;
    busy = true;
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    const watching = { on: true };
    watch(watching);
    for (const name of names) await run(name, settings.tour);
    watching.on = false;
    busy = false;
    for (const button of buttons) button.removeAttribute("aria-disabled");
  };
  byId("tour-play").addEventListener("click", () => play(Object.keys(EXPERIMENTS)));
  for (const name of Object.keys(EXPERIMENTS)) byId(`tour-${name}-run`).addEventListener("click", () => play([name]));
  watch({ on: false });
}

async function run(name, prefix) {
  const card = byId(`tour-${name}`);
  const verdict = card.querySelector(".verdict");
  const say = (text, tone = "") => {
    setText(verdict, visible(text));
    verdict.dataset.tone = tone;
  };
  card.dataset.running = "";
  try {
    await EXPERIMENTS[name](prefix, say);
  } catch (err) {
    say(err.message, "problem");
  }
  delete card.dataset.running;
}

// watch draws the replicas as long as something may happen to them: while it is on, and
// until all are up.
async function watch(watching) {
  for (;;) {
    const { on } = watching;
    try {
      const all = await replicas();
      byId("tour-replicas").replaceChildren(...all.map(chip));
      if (!on && all.every(({ up }) => up)) return;
    } catch {
      // The gateway is away; the experiments say so.
      if (!on) return;
    }
    await pause(200);
  }
}

function chip({ name, up, channels }) {
  const state = !up ? "killed" : channels.length > 0 ? "serving" : "up";
  const node = el("span", { className: "state", dataset: { state: { killed: "killed", serving: "open", up: "closed" }[state] } });
  node.append(`Replica ${name}`, el("span", { className: "muted" }, state));
  return node;
}
