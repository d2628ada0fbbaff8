import assert from "node:assert/strict";
import { test } from "node:test";

import { ancientPosition, compareIds, idTime, parseChannels, parsePosition, sortChannels } from "../assets/position.mjs";
import { explainGap, Recorder } from "../assets/record.mjs";

test("channel names", () => {
  assert.deepEqual(parseChannels(" orders, x\n orders <b>,", /^[a-z]+$/), { channels: ["orders", "x"], bad: ["<b>"] });
  assert.deepEqual(sortChannels(["b", "a:1", "a", "B"]), ["B", "a", "a:1", "b"]);
});

test("positions", () => {
  assert.deepEqual(parsePosition("5-1", 1), { ids: ["5-1"], hash: "" });
  assert.deepEqual(parsePosition("5-1~0-0~00ffaa", 2), { ids: ["5-1", "0-0"], hash: "00ffaa" });
  for (const [text, n] of [["", 1], ["5", 1], ["5-1~0-0", 2], ["5-1~0-0~xyz", 2], ["5-1~00ffaa", 2], ["5-1~0-0~00ffaa", 1]]) {
    assert.equal(parsePosition(text, n), null, text);
  }
  assert.equal(ancientPosition("5-1~7-0~00ffaa", 2), "1-0~1-0~00ffaa");
  assert.equal(ancientPosition("", 1), "1-0");
  assert.equal(ancientPosition("", 2), null);
});

test("ids are compared exactly, beyond 2^53", () => {
  assert.equal(compareIds("18446744073709551614-0", "18446744073709551615-0"), -1);
  assert.equal(compareIds("10-9", "10-10"), -1);
  assert.equal(compareIds("2-0", "10-0"), -1);
  assert.equal(compareIds("3-3", "3-3"), 0);
  assert.equal(idTime("1700000000000-0"), 1700000000000);
  assert.equal(idTime("x"), null);
});

const frame = (id, event = "", data = "x") => ({ id, event, data, raw: null });

test("of several channels, the one whose id moved", () => {
  const r = new Recorder({ channels: ["b", "a"], envelope: false, openedAt: 0 });
  assert.equal(r.record(frame("1-0~2-0~00ffaa", "gateway.ready", "{}")).kind, "ready");
  const { channel, id } = r.record(frame("1-0~3-0~00ffaa"));
  assert.deepEqual([channel, id], ["b", "3-0"]);
  // Two moved at once: some events were not seen, so nobody can tell.
  assert.equal(r.record(frame("9-0~9-0~00ffaa")).channel, "");
});

test("the envelope says whose event it is, and anything else is shown as it came", () => {
  const r = new Recorder({ channels: ["a", "b"], envelope: true, openedAt: 0 });
  const wrapped = JSON.stringify({ channel: "b", id: "5-0", event: "ping", data: "hi" });
  const { channel, id, name, data, position } = r.record(frame("4-0~5-0~00ffaa", "ping", wrapped));
  assert.deepEqual([channel, id, name, data, position], ["b", "5-0", "ping", "hi", "4-0~5-0~00ffaa"]);
  const unnamed = r.record(frame("4-0~5-1~00ffaa", "", wrapped.replace("ping", "message")));
  assert.deepEqual([unnamed.name, unnamed.event], ["", ""]);
  assert.equal(r.record(frame("4-0~6-0~00ffaa", "", "null")).data, "null");
  assert.equal(r.record(frame("4-0~7-0~00ffaa", "", "[1]")).channel, "b");
});

test("latency is of live events only, and never negative", () => {
  const r = new Recorder({ channels: ["a"], envelope: false, openedAt: 1000 });
  assert.equal(r.record(frame("999-0"), 1100).latency, null);
  assert.equal(r.record(frame("1050-0"), 1100).latency, 50);
  assert.equal(r.record(frame("1150-0"), 1100).latency, 0);
  assert.equal(r.record(frame("0-0"), 1100).latency, null);
});

test("the gateway's own events", () => {
  const r = new Recorder({ channels: ["a"], envelope: true, openedAt: 0 });
  const gap = { channel: "a", after: "1-0", resumed: "5-0", reason: "trimmed" };
  const record = r.record(frame("5-0", "gateway.gap", JSON.stringify(gap)));
  assert.deepEqual([record.kind, record.channel, record.gap], ["gap", "a", gap]);
  assert.deepEqual(r.record(frame("5-0", "gateway.gap", "nonsense")).gap, { channel: "", after: "", resumed: "", reason: "" });
  assert.equal(r.record(frame("", "gateway.stalled", "{}")).kind, "stalled");
  assert.equal(r.record(frame("", "gateway.live", "{}")).kind, "live");
  assert.equal(r.record(frame("", "gateway.other", "{}")).kind, "gateway");
  assert.notEqual(explainGap("reset"), explainGap("constructor"));
});
