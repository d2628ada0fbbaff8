// The tiles: a figure each, with its last minute as a line.

import { byId, setText } from "./dom.mjs";
import { Sparkline } from "./chart.mjs";
import { Meter } from "./meter.mjs";
import { count, duration } from "./text.mjs";

// Tiles shows this page's figures, one step per second, and the gateway's when
// they come.
export class Tiles {
  constructor(withStats) {
    this.meter = new Meter();
    this.total = 0;
    this.gaps = 0;
    this.at = performance.now();
    this.lines = {};
    for (const name of ["rate", "latency", "connections", "deliveries", "p99"]) {
      this.lines[name] = new Sparkline(byId(`chart-${name}`));
    }
    for (const node of document.querySelectorAll(".tile.gateway")) node.hidden = !withStats;
  }

  record(record) {
    if (record.kind === "gap") this.gaps++;
    if (record.kind !== "event") return;
    this.total++;
    this.meter.add(record.latency);
    if (record.latency !== null) this.lastLatency = record.latency;
  }

  counts() {
    setText(byId("received"), count(this.total));
    setText(byId("gaps"), count(this.gaps));
    byId("gaps").classList.toggle("some", this.gaps > 0);
  }

  reset() {
    this.total = this.gaps = 0;
    this.counts();
  }

  tick() {
    const now = performance.now();
    this.meter.tick((now - this.at) / 1000);
    this.at = now;
    const { rate, latency } = this.meter;
    this.lines.rate.draw(rate);
    this.lines.latency.draw(latency, 5);
    setText(byId("value-rate"), count(rate.last));
    setText(byId("value-latency"), this.lastLatency === undefined ? "–" : duration(latency.last || this.lastLatency));
  }

  // stats shows a reading of the gateway's figures. Between deliveries the last
  // latency stays; its line breaks.
  stats({ now, connections, deliveries, reads, p99s, p50 }) {
    this.lines.connections.draw(connections);
    this.lines.deliveries.draw(deliveries);
    this.lines.p99.draw(p99s, 5);
    setText(byId("value-connections"), count(now.connections));
    setText(byId("value-deliveries"), count(deliveries.last));
    if (reads !== null) setText(byId("gateway-reads"), `of ${count(reads)} events/s read`);
    if (p50 === null) return;
    setText(byId("value-p99"), duration(p99s.last));
    setText(byId("gateway-latency"), `p99, p50 ${duration(p50)}`);
  }

  statsFailed() {
    for (const name of ["connections", "deliveries", "p99"]) setText(byId(`value-${name}`), "–");
    for (const name of ["reads", "latency"]) setText(byId(`gateway-${name}`), "this replica");
  }
}
