import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { hue } from "../assets/dom.mjs";
import { median, Meter, quantile, rateBetween, Series } from "../assets/meter.mjs";
import { checkStart, eventNames, eventsUrl } from "../assets/request.mjs";
import { LANGUAGES, shellWord, xadd } from "../assets/snippets.mjs";
import { duration, oneLine, pretty, visible } from "../assets/text.mjs";

test("the address of a subscription", () => {
  const url = (more) => eventsUrl("/events", { channels: ["a", "{x}:b/c"], ...more });
  assert.equal(url({}), "/events?channel=a&channel=%7Bx%7D:b/c");
  assert.equal(url({ start: { kind: "replay", value: " 5 " }, envelope: true }), "/events?channel=a&channel=%7Bx%7D:b/c&replay=5&envelope=json");
  assert.equal(url({ start: { kind: "id", value: "1-0&channel=z" } }), "/events?channel=a&channel=%7Bx%7D:b/c&last_event_id=1-0%26channel%3Dz");
  assert.match(url({ start: { kind: "since", value: "2024-01-01T00:00:00+01:00" } }), /since=2024-01-01T00:00:00%2B01:00$/);
});

test("starts are checked", () => {
  for (const [kind, value, ok] of [["now", "", true], ["replay", "all", true], ["replay", "20", true], ["replay", "0", false],
    ["replay", "x", false], ["since", "", false], ["since", "10m", true], ["id", "", false], ["id", "junk", true]]) {
    assert.equal(checkStart({ kind, value }) === "", ok, `${kind} ${value}`);
  }
});

test("event names", () => {
  assert.deepEqual(eventNames("ping, ping , a b,gateway.*"), ["ping", "a b", "gateway.ready", "gateway.gap", "gateway.stalled", "gateway.live"]);
});

test("a shell reads back exactly what was quoted", () => {
  for (const text of ["sse:orders", "sse:{a}", "it's", "a b", "$HOME", "`id`", "a\\b", "x;y", "!z", "*"]) {
    assert.equal(execFileSync("sh", ["-c", `printf %s ${shellWord(text)}`], { encoding: "utf8" }), text);
  }
  assert.equal(xadd({ redisHint: "redis-cli -p 6379", keyPrefix: "sse:" }, "{a}"), "redis-cli -p 6379 XADD 'sse:{a}' '*' data hello");
});

test("each language's program holds the address", () => {
  const url = "http://localhost:8080/events?channel=a&channel=%7Bb%7D";
  for (const { make } of LANGUAGES) assert.ok(make(url).includes(url));
});

test("hidden characters are shown", () => {
  assert.equal(visible("a\u0000b\u202Ec\u2028d\uFEFF\te\nf"), "a\\u0000b\\u202ec\\u2028d\\ufeff\te\nf");
  assert.equal(oneLine("a\nb", 10), "a ⏎ b");
  assert.equal(oneLine("abcdef", 3), "abc…");
  assert.equal(pretty('{"a":[1]}'), '{\n  "a": [\n    1\n  ]\n}');
  assert.equal(pretty("{no"), null);
  assert.equal(pretty("12"), null);
  assert.deepEqual([0, 5, 1500, 61_000].map(duration), ["<1 ms", "5 ms", "1.5 s", "1 min 1 s"]);
});

test("rates and medians", () => {
  const m = new Meter();
  for (const latency of [5, null, 1, 9]) m.add(latency);
  m.tick(2);
  m.tick(1);
  assert.deepEqual([m.rate.values, m.latency.values], [[2, 0], [5, null]]);
  assert.equal(median([3, 1, 2, 10]), 2);
  assert.deepEqual([rateBetween(100, 150, 2), rateBetween(100, 10, 2)], [25, 5]);
  const s = new Series(2);
  for (const v of [1, 2, 3]) s.push(v);
  assert.deepEqual([s.values, s.last], [[2, 3], 3]);
});

test("quantiles of a histogram's increase", () => {
  const h = (count, ...counts) => ({ count, buckets: counts.map((n, i) => ({ le: [0.001, 0.01, 0.1][i], count: n })) });
  assert.equal(quantile(0.5, h(0, 0, 0, 0), h(0, 0, 0, 0)), null);
  assert.equal(quantile(0.5, h(10, 10, 10, 10), h(20, 20, 20, 20)), 0.0005);
  assert.ok(Math.abs(quantile(0.75, h(0, 0, 0, 0), h(10, 5, 10, 10)) - 0.0055) < 1e-9);
  assert.equal(quantile(0.99, h(0, 0, 0, 0), h(10, 0, 0, 0)), 0.1); // above the last bound
  assert.equal(quantile(0.5, h(100, 100, 100, 100), h(10, 10, 10, 10)), 0.0005); // restarted
});

test("the first channels have colours that differ clearly", () => {
  const names = ["demo", "orders", "alerts", "sensors", "news", "orders:1", "orders:2"];
  const angles = names.map(hue);
  assert.deepEqual(names.map(hue), angles);
  angles.forEach((a, i) => angles.slice(i + 1).forEach((b, k) => {
    const apart = Math.min(Math.abs(a - b), 360 - Math.abs(a - b));
    assert.ok(apart >= 30, `${names[i]} and ${names[i + 1 + k]} are ${apart} degrees apart`);
  }));
});
