// What the experiments of the tour share: a channel of their own, which they publish to
// and subscribe to through the load balancer.

import { Comparison } from "./compare.mjs";
import { byId, el, setText } from "./dom.mjs";
import { post, publish } from "./publish.mjs";

const TOUR = "/console/tour/";

// pause waits for milliseconds.
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// replicas returns the replicas' states: { name, up, channels }.
export async function replicas() {
  return (await fetch(`${TOUR}replicas`)).json();
}

// Experiment is one run. It knows what was published from the gateway's answers to
// that, and what was received from the browser's EventSource; all its figures are
// made of these ids.
export class Experiment {
  constructor(name, prefix) {
    this.name = name;
    const random = crypto.getRandomValues(new Uint32Array(4));
    this.channel = prefix + [...random].map((n) => n.toString(16).padStart(8, "0")).join("");
    this.comparison = new Comparison();
    this.published = this.received = this.repeated = this.opened = 0;
    this.lastId = "";
    this.source = null;
    this.marks = new Map(); // id → its element in the row of ticks
    this.ticks = document.querySelector(`#tour-${name} .ticks`);
    this.ticks?.replaceChildren();
    this.show();
  }

  url(start) {
    return `${TOUR}events?channel=${encodeURIComponent(this.channel)}&${start}`;
  }

  // connect starts an EventSource at a position. From here on the browser does
  // everything: that includes to come back.
  connect(start) {
    this.source = new EventSource(this.url(start));
    this.source.onopen = () => {
      if (this.opened++ > 0) this.comparison.back(); // what is missing now has to come
    };
    this.source.onmessage = (e) => this.receive(e);
    this.source.addEventListener("gateway.gap", (e) => this.gap(e));
  }

  disconnect() {
    this.source?.close();
  }

  async publish(event) {
    const id = await publish({ channel: this.channel, ...event });
    this.published++;
    this.comparison.witness({ channel: this.channel, id });
    this.mark(id);
    this.show();
    return id;
  }

  // end ends the channel, which is no event.
  async end() {
    await publish({ channel: this.channel, end: true });
  }

  receive(e) {
    this.lastId = e.lastEventId;
    const mark = this.comparison.receive({ channel: this.channel, id: e.lastEventId });
    if (mark === "repeated") this.repeated++;
    else this.received++;
    this.mark(e.lastEventId, mark === "new" ? "received" : mark);
    this.show();
  }

  gap(e) {
    const gap = JSON.parse(e.data);
    this.comparison.gap(gap);
    for (const record of this.comparison.pending.values()) if (this.comparison.told(record)) this.mark(record.id, "told");
    this.show();
  }

  // mark sets the class of an event's tick, and makes it first. The event may arrive
  // before the answer to its publication.
  mark(id, state = "") {
    if (!this.ticks) return;
    if (!this.marks.has(id)) {
      this.marks.set(id, el("i"));
      this.ticks.append(this.marks.get(id));
    }
    if (state !== "") this.marks.get(id).className = state;
  }

  // told counts the events that a gap named.
  told() {
    return [...this.comparison.pending.values()].filter((record) => this.comparison.told(record)).length;
  }

  // show writes the figures that the card has.
  show() {
    const figures = {
      published: this.published,
      received: this.received,
      returned: this.comparison.returned,
      told: this.told(),
      lost: this.comparison.lost(),
      repeated: this.repeated,
    };
    for (const [name, value] of Object.entries(figures)) {
      const node = byId(`tour-${this.name}-${name}`);
      if (node) setText(node, String(value));
    }
  }

  // serving waits for the name of the replica that the page is connected to.
  async serving() {
    for (;;) {
      const one = (await replicas()).find(({ channels }) => channels.includes(this.channel));
      if (one) return one.name;
      this.check();
      await pause(50);
    }
  }

  // kill kills the replica that the page is connected to and returns its name.
  async kill() {
    return (await post(`${TOUR}kill`, { channel: this.channel })).killed;
  }

  // until waits for a condition, and fails if the browser has given up before.
  async until(condition) {
    while (!condition()) {
      this.check();
      await pause(20);
    }
  }

  check() {
    if (this.source?.readyState === EventSource.CLOSED) throw new Error("The gateway refused, and the browser has given up.");
  }
}
