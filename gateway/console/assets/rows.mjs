// One record as a row of a list.

import { channelTag, el } from "./dom.mjs";
import { explainGap } from "./record.mjs";
import { clock, oneLine, visible } from "./text.mjs";

// PREVIEW is how much of the data a row shows, in characters.
const PREVIEW = 300;

// eventRow is a list item for a record of any kind.
export function eventRow(record) {
  const row = el("li", { className: `row ${record.kind}`, role: "option" });
  row.append(el("span", { className: "time" }, clock(record.at)));
  if (record.mark === "returned" || record.mark === "repeated") row.classList.add(record.mark);
  if (record.kind === "event") row.append(...eventCells(record));
  else if (record.kind === "gap") row.append(gapCell(record));
  else row.append(noticeCell(record));
  return row;
}

// MARKS are what the resume lab says of an event.
const MARKS = { returned: "came back", repeated: "repeated" };

function eventCells(record) {
  const name = record.name === "" ? "message" : visible(record.name);
  const mark = MARKS[record.mark];
  return [
    el("span", { className: "channel" }, record.channel === "" ? "–" : channelTag(visible(record.channel))),
    el("span", { className: record.name === "" ? "name plain" : "name", title: name }, name),
    el("span", { className: "data" }, mark ? el("b", { className: "mark" }, mark) : "", oneLine(record.data, PREVIEW)),
    el("span", { className: "id", title: visible(record.id) }, visible(record.id)),
  ];
}

function gapCell({ gap, data }) {
  const where = `after ${visible(gap.after) || "?"} → resumed at ${visible(gap.resumed) || "?"}`;
  return el("span", { className: "notice" },
    el("strong", {}, `Gap: ${visible(gap.reason) || "unknown"}`),
    gap.channel === "" ? "" : channelTag(visible(gap.channel)),
    el("span", { className: "positions" }, gap.after === "" && gap.resumed === "" ? oneLine(data, PREVIEW) : where),
    el("span", { className: "why" }, explainGap(gap.reason)));
}

const NOTICES = {
  ready: "Ready",
  stalled: "Stalled: Redis cannot be reached; the stream goes on when it is back",
  live: "Live: Redis is back",
};

function noticeCell(record) {
  const text = NOTICES[record.kind] ?? visible(record.name);
  return el("span", { className: "notice" }, el("strong", {}, text),
    el("span", { className: "positions" }, oneLine(record.data, PREVIEW)));
}
