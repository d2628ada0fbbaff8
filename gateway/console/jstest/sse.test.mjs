import assert from "node:assert/strict";
import { test } from "node:test";

import { Parser } from "../assets/sse.mjs";

// parse feeds the text in pieces of the given size and returns what came out.
function parse(text, size = text.length) {
  const out = { frames: [], retries: [], comments: [] };
  const parser = new Parser({
    frame: (frame) => out.frames.push(frame),
    retry: (ms) => out.retries.push(ms),
    comment: (comment) => out.comments.push(comment),
  });
  for (let i = 0; i < text.length; i += size) parser.push(text.slice(i, i + size));
  return out;
}

const brief = ({ frames }) => frames.map(({ event, data, id }) => [event, data, id]);

const CASES = [
  ["one event", "data: hello\n\n", [["", "hello", ""]]],
  ["named, with id", "event: ping\nid: 1-0\ndata: x\n\n", [["ping", "x", "1-0"]]],
  ["several data lines", "data: a\ndata\ndata:b\n\n", [["", "a\n\nb", ""]]],
  ["one space is cut, not two", "data:  x\n\n", [["", " x", ""]]],
  ["a value may hold colons", "data: a: b:\n\n", [["", "a: b:", ""]]],
  ["CRLF and CR", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", [["", "a", ""], ["", "b", ""], ["", "c", ""]]],
  ["a CR, then a LF that ends an empty line", "data: a\r\n\ndata: b\r\r\n", [["", "a", ""], ["", "b", ""]]],
  ["the id stays", "id: 7\ndata: a\n\ndata: b\n\n", [["", "a", "7"], ["", "b", "7"]]],
  ["an empty id resets it", "id: 7\ndata: a\n\nid\ndata: b\n\n", [["", "a", "7"], ["", "b", ""]]],
  ["an id with NUL is ignored", "id: 7\nid: 8\0\ndata: a\n\n", [["", "a", "7"]]],
  ["the name does not stay", "event: x\ndata: a\n\ndata: b\n\n", [["x", "a", ""], ["", "b", ""]]],
  ["no data, no event, but the id counts", "event: x\nid: 9\n\ndata: b\n\n", [["", "b", "9"]]],
  ["empty data is data", "data\n\n", [["", "", ""]]],
  ["unknown fields", "foo: bar\nDATA: x\n data: y\ndata: z\n\n", [["", "z", ""]]],
  ["cut off at the end", "data: a\n\ndata: lost\n", [["", "a", ""]]],
  ["a byte order mark at the start only", "\uFEFFdata: a\n\n\uFEFFdata: b\n\n", [["", "a", ""]]],
  ["U+2028 ends no line", "data: a\u2028data: b\n\n", [["", "a\u2028data: b", ""]]],
];

for (const [name, text, want] of CASES) {
  test(name, () => {
    for (let size = 1; size <= text.length; size++) {
      assert.deepEqual(brief(parse(text, size)), want, `in pieces of ${size}`);
    }
  });
}

test("retry takes digits only", () => {
  assert.deepEqual(parse("retry: 100\nretry: 1s\nretry: -5\nretry\n").retries, [100]);
});

test("comments are reported and belong to the raw frame", () => {
  const { comments, frames } = parse(":\n: hi\ndata: x\n\n");
  assert.deepEqual(comments, ["", " hi"]);
  assert.equal(frames[0].raw, ":\n: hi\ndata: x\n\n");
});

test("a megabyte in small pieces takes well under a second", () => {
  const start = performance.now();
  const { frames } = parse(`data: ${"x".repeat(1 << 20)}\n\n`, 64);
  assert.equal(frames[0].data.length, 1 << 20);
  assert.ok(performance.now() - start < 1000);
});
