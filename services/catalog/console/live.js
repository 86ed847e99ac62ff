// What happens to the caller's media, as it happens: server-sent events of /v1/live, read by fetch, which unlike
// EventSource sends the token in a header instead of the address.

import { ROOT } from "./api.js";
import { bearer, token } from "./token.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000; // milliseconds

/** Calls `told` with each message until the function that it returns is called. Reconnects where it was. */
export function listen(told) {
  const ended = new AbortController();
  if (token()) keepReading(told, ended.signal);
  return () => ended.abort();
}

async function keepReading(told, signal) {
  let last = "";
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...bearer(), ...(last ? { "Last-Event-ID": last } : {}) };
      const answer = await fetch(new URL("v1/live", ROOT), { headers, signal, credentials: "omit", cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) return; // the token will not become better by asking again
      if (answer.ok) {
        wait = FIRST_WAIT;
        for await (const event of events(answer.body)) {
          last = event.id || last;
          if (event.data) told(JSON.parse(event.data));
        }
      }
    } catch {
      // Lost or refused for now: the next attempt tells what was missed.
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split(/\r?\n\r?\n/);
    text = parts.pop();
    for (const part of parts) yield parsed(part);
  }
}

function parsed(part) {
  const event = { id: "", data: "" };
  for (const line of part.split(/\r?\n/)) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === "data") event.data += (event.data && "\n") + value;
    else if (name === "id") event.id = value;
  }
  return event;
}

function pause(milliseconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    }, { once: true });
  });
}
