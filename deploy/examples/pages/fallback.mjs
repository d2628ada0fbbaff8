// A client that reads an event stream, and polls by itself where the network breaks
// streams: a proxy that keeps a response back until it is complete makes a stream that
// brings nothing.
//
//   await follow("/events?channel=orders", { onEvent: ({ event, data }) => … });

const pollingTime = 300_000; // ms until a stream is tried again

// follow calls onEvent with each event, { channel, id, event, data }, and with gaps,
// where event is gateway.gap and data an object, until all channels have ended. onMode
// is told "stream" or "polling". heartbeat is the longest time between two heartbeats,
// in ms: 1.2 times SSE_HEARTBEAT. An answer 4xx is an error.
export async function follow(url, { onEvent, onMode = () => {}, heartbeat = 18_000 }) {
  // The position comes first, so that nothing is lost between a stream that brings
  // nothing and the first poll after it.
  let at = await poll(url, "", 0, onEvent);
  while (!at.ended) {
    at.position = await stream(url, at.position, 2 * heartbeat, onEvent, () => onMode("stream"));
    for (const end = Date.now() + pollingTime; !at.ended && Date.now() < end; ) {
      onMode("polling");
      at = await poll(url, at.position, 25, onEvent);
    }
  }
}

// stream reads a stream until it has brought nothing for silence, in ms, or is closed
// for good, and returns the position. A poll tells why it was closed.
function stream(url, position, silence, onEvent, onOpen) {
  return new Promise((resolve) => {
    const source = new EventSource(request(url, { last_event_id: position, envelope: "json", heartbeat: "event" }));
    const leave = () => {
      clearTimeout(timer);
      source.close();
      resolve(position);
    };
    let timer = setTimeout(leave, silence);
    const on = (name, act = () => {}) =>
      source.addEventListener(name, (e) => {
        clearTimeout(timer);
        timer = setTimeout(leave, silence);
        act(e);
        position = e.lastEventId;
      });
    on("message", (e) => onEvent(JSON.parse(e.data)));
    on("gateway.gap", (e) => onEvent({ event: e.type, data: JSON.parse(e.data) }));
    on("gateway.ready", onOpen);
    on("gateway.ping");
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) leave();
    };
  });
}

// poll asks for one page, until it is answered. It waits up to wait seconds for news.
async function poll(url, position, wait, onEvent) {
  const asked = request(url, { last_event_id: position, wait: `${wait}s` });
  for (;;) {
    const response = await fetch(asked, { headers: { Accept: "application/json" }, cache: "no-store" }).catch(console.warn);
    if (response?.ok) {
      const page = await response.json();
      for (const data of page.gaps) onEvent({ event: "gateway.gap", data });
      page.events.forEach(onEvent);
      return { position: page.position, ended: page.ended.length === new Set(asked.searchParams.getAll("channel")).size };
    }
    if (response?.status >= 400 && response.status < 500) throw new Error(await response.text());
    await new Promise((resolve) => setTimeout(resolve, 2000 + 3000 * Math.random()));
  }
}

// request adds parameters that are not empty to a URL.
function request(url, parameters) {
  const to = new URL(url, location.href);
  for (const [name, value] of Object.entries(parameters)) if (value) to.searchParams.set(name, value);
  return to;
}
