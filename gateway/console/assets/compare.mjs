// The judgement of the resume lab and the tour: did everything that happened while
// one reader was away reach it afterwards, once and in order? A witness knows what
// happened: a reader that never left, or the publisher.

import { newer } from "./record.mjs";

// KEPT bounds what the comparison remembers, in events.
const KEPT = 20_000;

const key = (r) => `${r.channel} ${r.id}`;

// Comparison starts with both at one position and the reader there.
export class Comparison {
  constructor() {
    this.forget();
  }

  // forget drops what the reader had, for a resume from before all that: what
  // comes again then is no repeat.
  forget() {
    this.pending = new Map(); // key → record: witnessed, not (yet) received
    this.received = new Set();
    this.newest = new Map(); // channel → the newest id that the reader had
    this.back();
  }

  // witness takes an event that the witness saw.
  witness(record) {
    const k = key(record);
    if (!this.received.has(k)) remember(this.pending, k, record);
  }

  // back ends an absence: what is pending now was missed and has to come.
  back() {
    this.missing = new Map(this.pending);
    this.missed = this.missing.size;
    this.returned = 0;
    this.repeated = 0;
    this.disordered = 0;
    this.gaps = [];
  }

  // receive takes an event that the reader saw and says what it is: "returned"
  // if it was missed, "repeated" if the reader had it before, else "new".
  receive(record) {
    const k = key(record);
    if (this.received.has(k)) {
      this.repeated++;
      return "repeated";
    }
    const last = this.newest.get(record.channel);
    if (last !== undefined && !newer(record.id, last)) this.disordered++;
    else this.newest.set(record.channel, record.id);
    remember(this.received, k);
    this.pending.delete(k);
    if (!this.missing.delete(k)) return "new";
    this.returned++;
    return "returned";
  }

  // gap takes a gap that the reader was told of.
  gap(gap) {
    this.gaps.push(gap);
  }

  // lost counts what can no longer come: the reader has had a later event of the
  // channel, and no gap told of this one.
  lost() {
    return [...this.pending.values()].filter((r) => {
      const last = this.newest.get(r.channel);
      return last !== undefined && !newer(r.id, last) && !this.told(r);
    }).length;
  }

  // told tells whether a gap named the record.
  told(record) {
    return this.gaps.some((gap) => covers(gap, record));
  }

  // verdict is { done, ok, text } of the last absence.
  verdict() {
    const told = [...this.missing.values()].filter((r) => this.told(r)).length;
    const open = this.missing.size - told;
    const faults = [];
    if (this.repeated > 0) faults.push(`${this.repeated} came twice`);
    if (this.disordered > 0) faults.push(`${this.disordered} out of order`);
    const head =
      this.missed === 0 ? "Nothing was missed" : `${this.returned} of ${this.missed} missed events came back`;
    const rest = told > 0 ? `, ${told} reported as a gap` : "";
    const order = faults.length > 0 ? faults.join(", ") : "in order, none twice";
    const done = open === 0;
    return { done, ok: done && faults.length === 0, text: `${head}${rest}, ${order}.` };
  }
}

// covers tells whether a gap says that the record cannot be delivered.
function covers(gap, record) {
  if (gap.channel !== record.channel) return false;
  return newer(record.id, gap.after) && !newer(record.id, gap.resumed);
}

// remember adds to a Map or Set and lets go of the oldest beyond KEPT.
function remember(bag, k, value) {
  if (bag instanceof Map) bag.set(k, value);
  else bag.add(k);
  if (bag.size > KEPT) bag.delete(bag.keys().next().value);
}
