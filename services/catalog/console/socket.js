// A WebSocket that comes back by itself, and on /v1/live asks for what it missed meanwhile.

import { ROOT } from "./api.js";
import { token } from "./token.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000; // milliseconds
const NORMAL = 1000;
const POLICY = 1008; // the token does not hold: asking again would not help

/** The URL of what was typed. Throws an Error for people where that is no address of this server. */
export function addressOf(typed) {
  const base = new URL(ROOT);
  base.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  let url;
  try {
    url = new URL(typed.trim().replace(/^\//, "").replace(/^http/, "ws"), base);
  } catch {
    throw new Error(`${typed} is no address; /ws/media and /v1/live are.`);
  }
  if (url.host !== base.host || url.protocol !== base.protocol) {
    throw new Error(`This page may connect to ${base.host} alone, not to ${url.host}.`);
  }
  return url;
}

export class Socket {
  #url;
  #hooks;
  #socket = null;
  #timer = 0;
  #wait = FIRST_WAIT;
  #since = null;
  #wanted = true;

  /** `hooks`: `state(name, text)` with the name off, connecting or on; `message(text)`; `again()` says whether to come
   * back when the connection is lost. */
  constructor(url, hooks) {
    this.#url = url;
    this.#hooks = hooks;
    this.#open();
  }

  close() {
    this.#wanted = false;
    clearTimeout(this.#timer);
    this.#socket?.close(NORMAL);
    this.#hooks.state("off", "Disconnected.");
  }

  #open() {
    const url = new URL(this.#url);
    if (token()) url.searchParams.set("token", token()); // a browser's WebSocket has no headers
    if (this.#since !== null) url.searchParams.set("since", this.#since);
    const from = this.#since === null ? "" : ` from place ${this.#since} on`;
    this.#hooks.state("connecting", `Connecting to ${this.#url.pathname}${from} ...`);
    const socket = new WebSocket(url);
    let opened = false;
    this.#socket = socket;
    socket.addEventListener("open", () => {
      opened = true;
      if (this.#wanted) this.#hooks.state("on", `Connected to ${this.#url.pathname}${from}.`);
    });
    socket.addEventListener("message", (event) => {
      this.#wait = FIRST_WAIT;
      this.#remember(event.data);
      this.#hooks.message(event.data);
    });
    socket.addEventListener("close", (event) => this.#closed(event, opened));
  }

  #remember(text) {
    if (!this.#url.pathname.endsWith("/v1/live")) return;
    try {
      const { sequence } = JSON.parse(text);
      if (Number.isInteger(sequence)) this.#since = sequence;
    } catch {
      // Not ours to judge; it is shown as it came.
    }
  }

  #closed(event, opened) {
    if (!this.#wanted) return;
    const why = event.reason || (opened ? "the connection was lost" : "nothing answers at this address, or it refuses this caller");
    const told = `${why.replace(/\.$/, "")} (${event.code})`;
    if (event.code === POLICY || !this.#hooks.again()) {
      this.#wanted = false;
      this.#hooks.state("off", `Closed: ${told}.`);
      return;
    }
    this.#hooks.state("connecting", `Closed: ${told}. Connecting again in ${this.#wait / 1000} s ...`);
    this.#timer = setTimeout(() => this.#open(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}
