// Channels, ids and positions: the contract's joined form.

const ID = /^(\d{1,20})-(\d{1,20})$/;

// parseChannels reads names separated by commas or white space. bad are the
// words that are no channel name, which valid matches; channels are the others,
// once each.
export function parseChannels(text, valid) {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  return {
    channels: [...new Set(words.filter((word) => valid.test(word)))],
    bad: words.filter((word) => !valid.test(word)),
  };
}

// idTime is the milliseconds since 1970 in an entry id, or null if it is none.
export function idTime(id) {
  const m = ID.exec(id);
  return m ? Number(m[1]) : null;
}

// compareIds orders entry ids. They may exceed what a number holds exactly.
export function compareIds(a, b) {
  const [, ams, aseq] = ID.exec(a);
  const [, bms, bseq] = ID.exec(b);
  const [x, y] = ams === bms ? [BigInt(aseq), BigInt(bseq)] : [BigInt(ams), BigInt(bms)];
  return x < y ? -1 : x > y ? 1 : 0;
}

// sortChannels gives the order in which a position names its channels: by
// bytes, which for this alphabet is the order of UTF-16 units.
export function sortChannels(channels) {
  return [...new Set(channels)].sort((a, b) => (a < b ? -1 : 1));
}

// parsePosition splits an event's id into one entry id per channel, in the
// order of sortChannels, and the hash. It returns null for anything else.
export function parsePosition(text, count) {
  const parts = text.split("~");
  const hash = count > 1 ? parts.pop() : "";
  const ok = parts.length === count && parts.every((part) => ID.test(part));
  return ok && (count === 1 || /^[0-9a-f]{6}$/.test(hash)) ? { ids: parts, hash } : null;
}

// ancientPosition is the position before everything that any channel of text
// ever had: resuming there forces a gap wherever something was trimmed.
export function ancientPosition(text, count) {
  const position = parsePosition(text, count);
  if (!position) return count === 1 ? "1-0" : null;
  const ids = position.ids.map(() => "1-0");
  return count === 1 ? ids[0] : [...ids, position.hash].join("~");
}
