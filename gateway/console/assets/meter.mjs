// Rates and latencies over the last minute.

// Series keeps the last values, the newest last: by default a minute of
// seconds.
export class Series {
  constructor(length = 60) {
    this.length = length;
    this.values = [];
  }

  push(value) {
    this.values.push(value);
    if (this.values.length > this.length) this.values.shift();
  }

  get last() {
    return this.values.at(-1) ?? 0;
  }
}

// Meter collects what arrives and closes a second when told to.
export class Meter {
  constructor() {
    this.rate = new Series(); // events per second
    this.latency = new Series(); // the second's median in ms, null without one
    this.count = 0;
    this.samples = [];
  }

  add(latency) {
    this.count++;
    // A sample of the second is enough for its median, and bounded.
    if (latency !== null && this.samples.length < 2000) this.samples.push(latency);
  }

  // tick ends a period of that many seconds.
  tick(seconds) {
    this.rate.push(this.count / seconds);
    this.latency.push(median(this.samples));
    this.count = 0;
    this.samples = [];
  }
}

// median is null for nothing.
export function median(samples) {
  if (samples.length === 0) return null;
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

// rateBetween is the increase per second of a total; after a restart, when the
// total is lower, it counts from zero.
export function rateBetween(before, now, seconds) {
  return (now >= before ? now - before : now) / seconds;
}

// quantile estimates a quantile, in seconds, of the observations between two
// readings of a histogram, interpolating within a bucket as Prometheus does.
// It returns null if there were none. Above the last bound it returns that.
export function quantile(q, before, now) {
  const restarted = now.count < before.count;
  const delta = (i) => now.buckets[i].count - (restarted ? 0 : (before.buckets[i]?.count ?? 0));
  const total = now.count - (restarted ? 0 : before.count);
  if (total <= 0 || now.buckets.length === 0) return null;
  const rank = q * total;
  let below = 0;
  let lower = 0;
  for (let i = 0; i < now.buckets.length; i++) {
    const upTo = delta(i);
    const { le } = now.buckets[i];
    if (upTo >= rank && upTo > below) return lower + (le - lower) * ((rank - below) / (upTo - below));
    below = upTo;
    lower = le;
  }
  return lower;
}
