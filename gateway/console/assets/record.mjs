// From frames to records: what each event of a stream means.

import { compareIds, idTime, parsePosition, sortChannels } from "./position.mjs";

const GAP_REASONS = {
  trimmed: "Retention removed events before they could be delivered.",
  reset: "The stream was deleted, restored, or failed over to an older copy.",
  too_large: "An event is over the gateway's size limit.",
  unknown_id: "The id to resume from could not be understood; the stream starts now.",
};

// explainGap puts a gap's reason in words.
export function explainGap(reason) {
  return Object.hasOwn(GAP_REASONS, reason) ? GAP_REASONS[reason] : "Events could not be delivered.";
}

// Recorder turns the frames of one subscription into records:
//
//   kind      "event", or for the gateway's own "ready", "gap", "stalled",
//             "live", "gateway"
//   channel   "" if it cannot be told
//   id        the entry's own id; position, the id the browser resumes by
//   event     the name that the frame itself has, envelope or not
//   name, data, raw (null where the reader cannot see it)
//   at        when it came, milliseconds
//   latency   milliseconds from the id's time until it came, null for an event
//             from before the subscription
//   gap       {channel, after, resumed, reason} of a gap
export class Recorder {
  constructor({ channels, envelope, openedAt = Date.now() }) {
    this.channels = sortChannels(channels);
    this.envelope = envelope;
    this.openedAt = openedAt;
    this.previous = null; // the ids of the frame before, to see which moved
  }

  record(frame, at = Date.now()) {
    const base = { event: frame.event, position: frame.id, raw: frame.raw, at, latency: null, gap: null };
    const moved = this.move(frame.id);
    if (frame.event.startsWith("gateway.")) return this.own(frame, base);
    const r = { ...base, kind: "event", name: frame.event, data: frame.data, ...moved };
    if (this.envelope) Object.assign(r, unwrap(frame.data));
    const time = idTime(r.id);
    if (time !== null && time >= this.openedAt) r.latency = Math.max(0, at - time);
    return r;
  }

  // move finds the channel whose id changed since the frame before. An event
  // moves exactly one, unless this reader missed frames in between.
  move(text) {
    const position = parsePosition(text, this.channels.length);
    const before = this.previous;
    if (!position) return { channel: "", id: text };
    this.previous = position.ids;
    if (this.channels.length === 1) return { channel: this.channels[0], id: position.ids[0] };
    const changed = before ? this.channels.flatMap((_, i) => (position.ids[i] === before[i] ? [] : [i])) : [];
    if (changed.length !== 1) return { channel: "", id: text };
    return { channel: this.channels[changed[0]], id: position.ids[changed[0]] };
  }

  own(frame, base) {
    const kind = frame.event.slice("gateway.".length);
    const r = { ...base, kind: "gateway", name: frame.event, data: frame.data, channel: "", id: frame.id };
    if (kind === "ready" || kind === "stalled" || kind === "live") return { ...r, kind };
    if (kind !== "gap") return r;
    const gap = parseObject(frame.data);
    const text = (v) => (typeof v === "string" ? v : "");
    r.gap = { channel: text(gap.channel), after: text(gap.after), resumed: text(gap.resumed), reason: text(gap.reason) };
    return { ...r, kind, channel: r.gap.channel };
  }
}

function parseObject(text) {
  try {
    const v = JSON.parse(text);
    return v !== null && typeof v === "object" ? v : {};
  } catch {
    return {};
  }
}

// unwrap reads the envelope. What is not one stays as it came.
function unwrap(text) {
  const e = parseObject(text);
  if (typeof e.channel !== "string" || typeof e.id !== "string") return {};
  return {
    channel: e.channel,
    id: e.id,
    name: typeof e.event === "string" && e.event !== "message" ? e.event : "",
    data: typeof e.data === "string" ? e.data : (JSON.stringify(e.data) ?? ""),
  };
}

// newer tells whether id a comes after b within one channel.
export function newer(a, b) {
  return idTime(a) !== null && idTime(b) !== null ? compareIds(a, b) > 0 : a !== b;
}
