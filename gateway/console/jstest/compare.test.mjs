import assert from "node:assert/strict";
import { test } from "node:test";

import { Comparison } from "../assets/compare.mjs";

const event = (n, channel = "a") => ({ channel, id: `${n}-0` });

// absence is a comparison in which the reader had 1 and missed 2, 3 and 4.
function absence() {
  const c = new Comparison();
  c.witness(event(1));
  c.receive(event(1));
  for (const n of [2, 3, 4]) c.witness(event(n));
  c.back();
  return c;
}

test("everything came back", () => {
  const c = absence();
  assert.equal(c.verdict().done, false);
  assert.deepEqual([2, 3, 4].map((n) => c.receive(event(n))), ["returned", "returned", "returned"]);
  assert.equal(c.receive(event(5)), "new");
  c.witness(event(5));
  assert.equal(c.pending.size, 0);
  assert.deepEqual(c.verdict(), { done: true, ok: true, text: "3 of 3 missed events came back, in order, none twice." });
});

test("one is lost", () => {
  const c = absence();
  c.receive(event(2));
  c.receive(event(4));
  assert.deepEqual(c.verdict(), { done: false, ok: false, text: "2 of 3 missed events came back, in order, none twice." });
});

test("what was skipped is lost, what may still come is not", () => {
  const c = absence();
  assert.equal(c.lost(), 0);
  c.receive(event(2));
  assert.equal(c.lost(), 0);
  c.receive(event(4));
  assert.equal(c.lost(), 1);
  c.gap({ channel: "a", after: "2-0", resumed: "3-0", reason: "trimmed" });
  assert.equal(c.lost(), 0);
});

test("one comes twice, one late", () => {
  const c = absence();
  c.receive(event(2));
  assert.equal(c.receive(event(2)), "repeated");
  c.receive(event(4));
  c.receive(event(3));
  assert.deepEqual(c.verdict(), { done: true, ok: false, text: "3 of 3 missed events came back, 1 came twice, 1 out of order." });
});

test("what a gap names is told, not lost", () => {
  const c = absence();
  c.gap({ channel: "a", after: "1-0", resumed: "3-0", reason: "trimmed" });
  c.receive(event(4));
  assert.deepEqual(c.verdict(), { done: true, ok: true, text: "1 of 3 missed events came back, 2 reported as a gap, in order, none twice." });
});

test("order is within a channel", () => {
  const c = new Comparison();
  c.receive(event(5, "a"));
  c.receive(event(2, "b"));
  assert.equal(c.verdict().ok, true);
});

test("after a resume from the beginning nothing is a repeat", () => {
  const c = absence();
  c.forget();
  assert.equal(c.receive(event(1)), "new");
  assert.equal(c.verdict().ok, true);
});
