// A client of the gateway on top of fetch, for what EventSource cannot do: send
// an Authorization header. Runs in browsers and in Node 18 and later.
//
//   for await (const { event, data, id } of events("/events?channel=orders", {
//     token: tokenFrom("/api/token"),
//   })) …

// silence is how long a connection may be without a byte, in ms. The gateway
// sends a comment at least every 18 s (SSE_HEARTBEAT), so three are missing.
const silence = 60_000;

// events yields everything that the gateway sends, its own gateway.* events too,
// over as many connections as it takes. token() is asked before each of them, so
// that one that has run out is never sent again. It ends when all channels have
// ended (gateway.end, and then the answer 204). An answer 4xx is an error, as
// it will not get better; anything else is tried again. To stop, leave the loop
// or abort signal.
export async function* events(url, { token, lastEventId = "", signal } = {}) {
  let retry = 3000;
  for (;;) {
    const attempt = new AbortController();
    const abort = () => attempt.abort(signal.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort);
    try {
      const headers = { Accept: "text/event-stream" };
      if (token) headers.Authorization = `Bearer ${await token()}`;
      if (lastEventId) headers["Last-Event-ID"] = lastEventId;
      const response = await fetch(url, { headers, signal: attempt.signal, cache: "no-store" });
      if (response.status === 204) return; // all channels have ended
      if (response.status >= 400 && response.status < 500) throw new Refused(response.status, await response.text());
      if (response.ok) {
        for await (const frame of frames(response.body, attempt)) {
          if (frame.retry) retry = frame.retry;
          if (frame.data === undefined) continue;
          yield { event: frame.event ?? "message", data: frame.data, id: frame.id ?? lastEventId };
          // Only now: a caller that failed on this event has not seen it.
          lastEventId = frame.id ?? lastEventId;
        }
      }
    } catch (error) {
      if (error instanceof Refused || signal?.aborted) throw error;
      console.warn(`${url}: ${error.message}; once more in ${retry} ms`);
    } finally {
      attempt.abort();
      signal?.removeEventListener("abort", abort);
    }
    await new Promise((resolve) => setTimeout(resolve, retry));
  }
}

// tokenFrom returns a function that fetches a token.
export function tokenFrom(url) {
  return async () => {
    const response = await fetch(url, { cache: "no-store" });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    return response.text();
  };
}

// Refused is an answer 4xx; message is the body, a problem+json of the gateway.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// frames takes a stream of bytes apart. The gateway ends lines with LF only, and
// writes "field: value". A retry counts as soon as its line has come: no empty line
// follows the last one.
async function* frames(body, attempt) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let frame = {};
  for (;;) {
    const quiet = setTimeout(() => attempt.abort(new Error("no heartbeat")), silence);
    const { done, value } = await reader.read().finally(() => clearTimeout(quiet));
    if (done) return; // what is left is not a whole frame
    text += value;
    for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
      const line = text.slice(0, end);
      const colon = line.indexOf(":");
      const [field, fieldValue] = [line.slice(0, colon), line.slice(colon + 2)];
      if (line === "") {
        yield frame;
        frame = {};
      } else if (field === "retry") yield { retry: Number(fieldValue) };
      else if (field === "data") frame.data = frame.data === undefined ? fieldValue : `${frame.data}\n${fieldValue}`;
      else if (field === "id" || field === "event") frame[field] = fieldValue;
    }
  }
}
