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
    for (const name of ["rate", "latency", "connections", "deliveries"]) {
      this.lines[name] = new Sparkline(byId(`chart-${name}`));
    }
    for (const node of document.querySelectorAll(".tile.gateway")) node.hidden = !withStats;
    byId("tiles").classList.toggle("with-stats", withStats);
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

  stats({ now, connections, deliveries, p50, p99 }) {
    this.lines.connections.draw(connections);
    this.lines.deliveries.draw(deliveries);
    setText(byId("value-connections"), count(now.connections));
    setText(byId("value-deliveries"), count(deliveries.last));
    const ms = (seconds) => duration(seconds * 1000);
    setText(byId("gateway-latency"), p50 === null ? "" : `p99 ${ms(p99)}`);
    byId("gateway-latency").title = p50 === null ? "" : `From the id’s time to the write: p50 ${ms(p50)}, p99 ${ms(p99)}`;
  }

  statsFailed() {
    setText(byId("value-connections"), "–");
    setText(byId("value-deliveries"), "–");
    setText(byId("gateway-latency"), "");
  }
}
