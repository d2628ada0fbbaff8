// The inspector: what one event means beside the bytes that brought it.

import { byId, el } from "./dom.mjs";
import { idTime } from "./position.mjs";
import { explainGap } from "./record.mjs";
import { clock, count, duration, pretty, visible } from "./text.mjs";

// SHOWN is how much of a text the inspector shows, in characters. Copying
// takes all of it.
const SHOWN = 65_536;

// inspect shows a record, or null for none.
export function inspect(record) {
  byId("inspector-empty").hidden = record !== null;
  byId("inspector-body").hidden = record === null;
  if (record === null) return;
  const fields = byId("inspector-fields");
  fields.replaceChildren();
  for (const [name, value] of describe(record)) fields.append(el("dt", {}, name), el("dd", {}, visible(value)));
  fill(byId("inspector-data"), pretty(record.data) ?? record.data, record.data);
  const raw = byId("inspector-raw");
  if (record.raw === null) {
    fill(raw, "EventSource does not show the bytes of a frame.\nUse the fetch reader to see them.", "");
  } else {
    fill(raw, record.raw, record.raw);
  }
}

function fill(node, shown, full) {
  node.textContent = visible(shown.length > SHOWN ? `${shown.slice(0, SHOWN)}\n… ${count(shown.length)} characters` : shown);
  node.dataset.full = full;
}

function describe(record) {
  const rows = [["event", record.name === "" ? "message (unnamed)" : record.name]];
  if (record.kind === "gap") rows.push(["meaning", explainGap(record.gap.reason)]);
  if (record.channel !== "") rows.push(["channel", record.channel]);
  rows.push(["id", record.id || "none"]);
  if (record.position !== record.id) rows.push(["resume id", record.position || "none"]);
  const time = idTime(record.id);
  if (record.kind === "event" && time !== null) rows.push(["written", `${day(time)} ${clock(time)}`]);
  rows.push(["received", `${day(record.at)} ${clock(record.at)}`]);
  if (record.latency !== null) rows.push(["latency", duration(record.latency)]);
  rows.push(["data", `${count(record.data.length)} characters, ${count(record.data.split("\n").length)} line(s)`]);
  return rows;
}

function day(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "beyond any date";
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
