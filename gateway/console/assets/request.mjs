// The address of a subscription.

// GATEWAY_EVENTS are the names of the gateway's own events.
export const GATEWAY_EVENTS = ["gateway.ready", "gateway.gap", "gateway.stalled", "gateway.live"];

// eventsUrl is the address that subscribes to the channels.
//
//   start  { kind: "now" | "replay" | "since" | "id", value }
export function eventsUrl(base, { channels, start = { kind: "now", value: "" }, envelope = false }) {
  const query = channels.map((channel) => ["channel", channel]);
  const value = start.value.trim();
  if (start.kind === "replay") query.push(["replay", value]);
  if (start.kind === "since") query.push(["since", value]);
  if (start.kind === "id") query.push(["last_event_id", value]);
  if (envelope) query.push(["envelope", "json"]);
  // Colons and slashes are allowed in a query and easier to read as they are.
  const text = query.map(([k, v]) => `${k}=${encodeURIComponent(v).replace(/%3A/g, ":").replace(/%2F/g, "/")}`);
  return `${base}?${text.join("&")}`;
}

// checkStart returns what is wrong with a start, or "".
export function checkStart({ kind, value }) {
  const text = value.trim();
  if (kind === "replay" && !/^(all|[1-9]\d{0,8})$/.test(text)) return "Replay takes a number of events, or all.";
  if (kind === "since" && text === "") return "Since takes a duration such as 10m, a time, or unix milliseconds.";
  if (kind === "id" && text === "") return "There is no last id yet; paste one or choose another start.";
  return "";
}

// eventNames reads a list of event names for EventSource; gateway.* stands for
// all of the gateway's own.
export function eventNames(text) {
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return [...new Set(names.flatMap((name) => (name === "gateway.*" ? GATEWAY_EVENTS : [name])))];
}
