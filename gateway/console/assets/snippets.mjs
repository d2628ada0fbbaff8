// Copy-paste programs that subscribe to the chosen channels. The names come
// from the page's reader, so each language quotes them.

// shellWord quotes text for a POSIX shell where it needs it.
export function shellWord(text) {
  if (/^[A-Za-z0-9_.:/@%+-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

// xadd is the command that publishes to a channel.
export function xadd({ redisHint, keyPrefix }, channel) {
  return `${redisHint} XADD ${shellWord(keyPrefix + channel)} '*' data hello`;
}

// LANGUAGES are the snippets, in the order shown. Each takes the subscription's
// absolute address.
export const LANGUAGES = [
  { key: "curl", label: "curl", make: curl },
  { key: "javascript", label: "JavaScript", make: javascript },
  { key: "go", label: "Go", make: golang },
  { key: "python", label: "Python", make: python },
];

function curl(url) {
  return `curl --no-buffer ${shellWord(url)}`;
}

function javascript(url) {
  return `const events = new EventSource(${JSON.stringify(url)});

events.onmessage = (e) => console.log(e.lastEventId, e.data);

// A named event reaches only listeners for its name.
events.addEventListener("ping", (e) => console.log("ping", e.data));

// Events that can no longer be delivered: load the present state again.
events.addEventListener("gateway.gap", (e) => console.warn("gap", JSON.parse(e.data)));

// Nothing to do on a lost connection: the browser resumes by itself.
`;
}

function golang(url) {
  return `package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func main() {
	lastID := ""
	for ; ; time.Sleep(2 * time.Second) { // reconnect and resume
		req, _ := http.NewRequest("GET", ${JSON.stringify(url)}, nil)
		req.Header.Set("Accept", "text/event-stream")
		if lastID != "" {
			req.Header.Set("Last-Event-ID", lastID)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			continue
		}
		id, event, data := "", "message", []string{}
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case lines.Text() == "" && len(data) > 0:
				lastID = id
				fmt.Println(lastID, event, strings.Join(data, "\\n"))
				event, data = "message", nil
			case field == "id":
				id = value
			case field == "event":
				event = value
			case field == "data":
				data = append(data, value)
			}
		}
		resp.Body.Close()
	}
}
`;
}

function python(url) {
  return `import time
import urllib.request

last_id = ""
while True:
    request = urllib.request.Request(${JSON.stringify(url)})
    request.add_header("Accept", "text/event-stream")
    if last_id:
        request.add_header("Last-Event-ID", last_id)
    try:
        with urllib.request.urlopen(request) as stream:
            id, event, data = last_id, "message", []
            for line in stream:
                line = line.decode().rstrip("\\n")
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if line == "" and data:
                    last_id = id
                    print(last_id, event, "\\n".join(data), flush=True)
                    event, data = "message", []
                elif field == "id":
                    id = value
                elif field == "event":
                    event = value
                elif field == "data":
                    data.append(value)
    except OSError as error:
        print(error)
    time.sleep(2)  # reconnect and resume
`;
}
