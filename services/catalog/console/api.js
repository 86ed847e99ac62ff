// Requests to this origin with the caller's token, and refusals as people read them.

import { bearer } from "./token.js";

/** Where the API begins; these modules lie two folders below. */
export const ROOT = new URL("../../", import.meta.url);

/** What the API refused, or why it could not be asked (then `status` is 0). `message` is for people. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What the API answers to one request, as JSON; null where it has nothing to say. Throws Refusal. */
export async function call(method, path, body, { signal } = {}) {
  const headers = { Accept: "application/json", ...bearer() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await ask(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  const said = await answer.text();
  return said ? JSON.parse(said) : null;
}

/** The bytes at one of our own addresses. Throws Refusal. */
export async function bytes(path, { signal } = {}) {
  return (await ask(path, { headers: bearer(), signal })).blob();
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), { ...options, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server cannot be reached. Is the network there?");
  }
  if (!answer.ok) throw new Refusal(answer.status, wording(answer.status, await answer.text()));
  return answer;
}

/** The text for people in an error's body, whichever API it is of. */
export function wording(status, text) {
  let said = null;
  try {
    said = JSON.parse(text);
  } catch {
    // A proxy may answer in HTML, which nobody wants to read.
  }
  const found = [said?.detail, said?.error?.message, said?.error, said?.message].find((each) => typeof each === "string");
  return found || `The server answered with status ${status}.`;
}

/** Throws away the host of an address that the API gave: the page may have come by another name of the same origin. */
export function local(url) {
  const { pathname, search } = new URL(url, ROOT);
  const start = pathname.search(/\/(v1|media|api)\//);
  return (start < 0 ? pathname.slice(1) : pathname.slice(start + 1)) + search;
}

/** An address of the original, or of a variant, that works without a token for an hour. */
export async function signed(id, options = {}) {
  const link = await call("POST", `v1/media/${encodeURIComponent(id)}/links`, options);
  return new URL(local(link.url), ROOT).href;
}
