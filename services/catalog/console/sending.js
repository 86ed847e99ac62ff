// One file on its way to the server. XMLHttpRequest, because fetch does not tell how much of a body has gone.

import { ROOT, Refusal, wording } from "./api.js";
import { bearer } from "./token.js";

/** Sends a form. `progress(sent, all)` in bytes; `key` makes a repetition harmless. Throws Refusal, or an AbortError
 * when `signal` says so. Gives what the server said, as JSON. */
export function send(path, form, { key, signal, progress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.open("POST", new URL(path, ROOT));
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    for (const [name, value] of Object.entries(bearer())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(new Refusal(request.status, wording(request.status, request.responseText)));
    });
    request.addEventListener("error", () => reject(new Refusal(0, "The connection broke off. Try again: nothing is kept twice.")));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    signal.addEventListener("abort", stop);
    request.send(form);
  });
}

/** A key that nobody else has; crypto.randomUUID is not there on plain http. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
