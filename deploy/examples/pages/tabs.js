// A SharedWorker: it runs once for all tabs of an origin, as long as there is one, and
// holds their only connection. Over HTTP/1.1 a browser has six of them for a host.
const kept = 100; // events that a new tab is shown
const events = [];
const ports = new Set();

const source = new EventSource(`/events?channel=tabs&replay=${kept}`);
source.onmessage = ({ data }) => {
  events.push(data);
  if (events.length > kept) events.shift();
  for (const port of ports) port.postMessage(data);
};

onconnect = ({ ports: [port] }) => {
  for (const data of events) port.postMessage(data);
  ports.add(port);
  port.onmessage = () => ports.delete(port); // the tab leaves
};
