// The table of channels: what this page has seen, and what the replica serves, as
// /channels has it.

import { byId, channelTag, el } from "./dom.mjs";
import { idTime } from "./position.mjs";
import { bytes, clock, count, oneLine, visible } from "./text.mjs";

const MAX_CHANNELS = 200;

// ChannelTable draws at most once per tick, and only if it changed. onWatch is
// called with the name of a channel that the user wants to see.
export class ChannelTable {
  constructor(withServed, onWatch) {
    this.withServed = withServed;
    this.onWatch = onWatch;
    this.seen = new Map(); // name → { events, last }
    this.served = [];
    this.changed = true;
  }

  record(record) {
    if (record.kind !== "event" || record.channel === "") return;
    let row = this.seen.get(record.channel);
    if (!row) {
      if (this.seen.size >= MAX_CHANNELS) return;
      this.seen.set(record.channel, (row = { events: 0, last: null }));
    }
    row.events++;
    row.last = { id: record.id, name: record.name, data: oneLine(record.data, 80) };
    this.changed = true;
  }

  serve(channels) {
    this.served = channels.slice(0, MAX_CHANNELS);
    this.changed = true;
  }

  draw() {
    if (!this.changed) return;
    this.changed = false;
    const names = new Map(this.served.map((c) => [c.name, c]));
    for (const name of this.seen.keys()) if (!names.has(name)) names.set(name, null);
    const rows = [...names].map(([name, served]) => this.row(name, served));
    // Keep the focus on a button whose row is drawn anew.
    const focused = document.activeElement?.dataset?.watch;
    byId("channel-rows").replaceChildren(...rows);
    byId("channels-empty").hidden = rows.length > 0;
    byId("channel-table").hidden = rows.length === 0;
    if (focused) rows.find((row) => row.button.dataset.watch === focused)?.button.focus();
  }

  row(name, served) {
    const seen = this.seen.get(name);
    const id = seen?.last.id ?? served?.position ?? "";
    const time = idTime(id);
    const button = el("button", { type: "button", className: "small", dataset: { watch: name } }, "Watch");
    button.setAttribute("aria-label", `Watch ${name}`);
    button.addEventListener("click", () => this.onWatch(name));
    const cell = (label, ...children) => el("td", { dataset: { label } }, ...children);
    const row = el("tr", {}, el("th", { scope: "row" }, channelTag(visible(name))));
    if (this.withServed) {
      const inWindow = served ? `${count(served.window.events)}, ${bytes(served.window.bytes)}` : "–";
      row.append(cell("Subscribers", served ? count(served.subscribers) : "–"), cell("Window", inWindow));
    }
    row.append(
      cell("Seen here", count(seen?.events ?? 0)),
      cell("Last event", time ? `${clock(time)} ` : "–", el("span", { className: "preview" }, seen?.last.data ?? "")),
      cell("Last id", el("code", {}, visible(id) || "–")),
      el("td", {}, button));
    row.button = button;
    return row;
  }
}
