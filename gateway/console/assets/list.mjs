// The list of events: bounded, in either order, pausable, walked by keyboard.

import { setText } from "./dom.mjs";
import { eventRow } from "./rows.mjs";

const MAX_ROWS = 500;
const KEPT_GAPS = 20;
// What the kept records may hold together, in characters of data and frame. A
// hundred events of the largest size would otherwise fill a phone's memory.
const MAX_CHARACTERS = 32 << 20;

// EventList shows records in an element with role listbox. on.select(record)
// is called for the row that the user chose, on.held(n) when n records wait
// because the list is paused.
export class EventList {
  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.records = []; // in order of arrival
    this.characters = 0;
    this.rows = new Map(); // record → its element, for those drawn
    this.waiting = []; // arrived, not yet drawn
    this.newestFirst = true;
    this.paused = false;
    this.selected = null;
    this.drawn = false;
    host.addEventListener("click", (e) => this.select(e.target.closest("[role=option]")));
    host.addEventListener("keydown", (e) => this.key(e));
  }

  // add takes a record. Rows are drawn once per frame, however many came.
  add(record) {
    this.waiting.push(record);
    if (this.waiting.length > MAX_ROWS) dropOldest(this.waiting);
    if (this.paused) this.on.held(this.waiting.length);
    else this.schedule();
  }

  schedule() {
    if (this.drawn) return;
    this.drawn = true;
    requestAnimationFrame(() => {
      this.drawn = false;
      if (!this.paused) this.draw();
    });
  }

  draw() {
    const fresh = this.waiting;
    this.waiting = [];
    const atEnd = this.host.scrollTop + this.host.clientHeight >= this.host.scrollHeight - 24;
    const nodes = document.createDocumentFragment();
    for (const record of fresh) {
      const row = eventRow(record);
      row.id = `row-${(EventList.rowsMade = (EventList.rowsMade ?? 0) + 1)}`;
      row.record = record;
      row.setAttribute("aria-selected", "false");
      this.rows.set(record, row);
      this.records.push(record);
      this.characters += weight(record);
      if (this.newestFirst) nodes.prepend(row);
      else nodes.append(row);
    }
    if (this.newestFirst) this.host.prepend(nodes);
    else this.host.append(nodes);
    this.trim();
    if (!this.newestFirst && atEnd) this.host.scrollTop = this.host.scrollHeight;
    this.host.classList.toggle("empty", this.records.length === 0);
  }

  trim() {
    while (this.records.length > MAX_ROWS || (this.characters > MAX_CHARACTERS && this.records.length > 1)) {
      const record = dropOldest(this.records);
      this.characters -= weight(record);
      this.rows.get(record).remove();
      this.rows.delete(record);
    }
    if (this.selected && !this.rows.has(this.selected)) this.mark(null);
  }

  pause(paused) {
    this.paused = paused;
    this.on.held(0);
    if (!paused) this.draw();
  }

  // order sets newest first, or oldest first with the list following the end.
  order(newestFirst) {
    this.newestFirst = newestFirst;
    const rows = this.records.map((record) => this.rows.get(record));
    this.host.replaceChildren(...(newestFirst ? rows.reverse() : rows));
    this.host.scrollTop = newestFirst ? 0 : this.host.scrollHeight;
  }

  clear() {
    this.records = [];
    this.waiting = [];
    this.rows.clear();
    this.characters = 0;
    this.host.replaceChildren();
    this.host.classList.add("empty");
    this.mark(null);
    this.on.held(0);
  }

  select(row) {
    if (!row) return;
    this.mark(row.record);
    this.on.select(row.record);
  }

  mark(record) {
    if (this.selected) this.rows.get(this.selected)?.setAttribute("aria-selected", "false");
    this.selected = record;
    const row = record ? this.rows.get(record) : null;
    if (!row) return this.host.removeAttribute("aria-activedescendant");
    row.setAttribute("aria-selected", "true");
    this.host.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
  }

  key(e) {
    const rows = this.host.children;
    const at = this.selected ? this.rows.get(this.selected) : null;
    const step = {
      ArrowDown: at?.nextElementSibling ?? (at ? at : rows[0]),
      ArrowUp: at?.previousElementSibling ?? (at ? at : rows[0]),
      Home: rows[0],
      End: rows[rows.length - 1],
    }[e.key];
    if (!step) return;
    e.preventDefault();
    this.select(step);
  }
}

// dropOldest removes and returns the oldest record. Up to KEPT_GAPS gaps stay
// longer than that: a replay of thousands would push its own gap out at once.
function dropOldest(records) {
  const i = records.findIndex((record) => record.kind !== "gap");
  const [record] = records.splice(i < 0 || i > KEPT_GAPS ? 0 : i, 1);
  return record;
}

function weight(record) {
  return record.data.length + (record.raw?.length ?? 0);
}

// labelHeld writes how many events wait behind the pause button.
export function labelHeld(button, paused, held) {
  setText(button, paused ? `Resume${held > 0 ? ` (${held >= MAX_ROWS ? `${MAX_ROWS}+` : held} new)` : ""}` : "Pause");
  button.setAttribute("aria-pressed", String(paused));
}
