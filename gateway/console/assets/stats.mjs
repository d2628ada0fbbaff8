// What the gateway says of itself, read every two seconds while the page is visible.

import { quantile, rateBetween, Series } from "./meter.mjs";

const PERIOD = 2000; // milliseconds

// poll calls take with what a URL has, and onFailure with what went wrong.
function poll(url, take, onFailure) {
  async function loop() {
    if (!document.hidden) {
      try {
        const response = await fetch(url, { cache: "no-store" });
        if (!response.ok) throw new Error(`status ${response.status}`);
        take(await response.json(), performance.now());
      } catch (err) {
        onFailure(err.message);
      }
    }
    setTimeout(loop, PERIOD);
  }
  loop();
}

// startServed calls onReading with the channels that the replica serves.
export function startServed(onReading) {
  poll("/console/channels", (answer) => onReading(answer.channels), () => {});
}

// startStats calls onReading with the figures and their last minutes, and
// onFailure with what went wrong.
export function startStats(onReading, onFailure) {
  const connections = new Series(60_000 / PERIOD);
  const deliveries = new Series(60_000 / PERIOD);
  const p99s = new Series(60_000 / PERIOD); // in ms, null while nothing was delivered
  let before = null;
  let at = 0;

  poll("/console/stats", take, (message) => {
    before = null; // the next difference would span the outage
    onFailure(message);
  });

  function take(now, time) {
    const seconds = (time - at) / 1000;
    connections.push(now.connections);
    let reads = null; // events/s from Redis
    if (before) {
      reads = rateBetween(before.events_read, now.events_read, seconds);
      deliveries.push(rateBetween(before.deliveries, now.deliveries, seconds));
      p99s.push(milliseconds(quantile(0.99, before.latency, now.latency)));
    }
    const p50 = before ? milliseconds(quantile(0.5, before.latency, now.latency)) : null;
    onReading({ now, connections, deliveries, reads, p99s, p50 });
    before = now;
    at = time;
  }

  function milliseconds(seconds) {
    return seconds === null ? null : seconds * 1000;
  }
}
