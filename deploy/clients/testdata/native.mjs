// The browser's own EventSource.
export function native(url, message) {
  new EventSource(url).onmessage = (e) => message(e.data);
}
