// Clients that npm has, as their READMEs use them. event-source-polyfill is no module,
// and adds itself to the global object.
import "/npm/node_modules/event-source-polyfill/src/eventsource.js";
import { fetchEventSource } from "/npm/node_modules/@microsoft/fetch-event-source/lib/esm/index.js";
import ReconnectingEventSource from "/npm/node_modules/reconnecting-eventsource/build/esm/reconnecting-eventsource.js";
import { SSE } from "/npm/node_modules/sse.js/lib/sse.js";

export function polyfill(url, message) {
  new EventSourcePolyfill(url).onmessage = (e) => message(e.data);
}

export function reconnecting(url, message) {
  new ReconnectingEventSource(url).onmessage = (e) => message(e.data);
}

// onmessage is called for events with a name, too.
const unnamed = (message) => (e) => {
  if (e.event === "") message(e.data);
};

export function fetching(url, message) {
  fetchEventSource(url, { onmessage: unnamed(message) }).catch(() => {});
}

// fetchingOn comes back after an orderly end, and stops at an answer that is final.
export function fetchingOn(url, message) {
  class Final extends Error {}
  fetchEventSource(url, {
    onmessage: unnamed(message),
    async onopen(response) {
      if (response.status === 204 || (response.status >= 400 && response.status < 500)) throw new Final();
      if (!response.ok) throw new Error(response.status);
    },
    onclose() {
      throw new Error("the stream has ended");
    },
    onerror(error) {
      if (error instanceof Final) throw error;
    },
  }).catch(() => {});
}

export function sse(url, message) {
  new SSE(url).onmessage = (e) => message(e.data);
}

export function sseOn(url, message) {
  new SSE(url, { autoReconnect: true }).onmessage = (e) => message(e.data);
}
