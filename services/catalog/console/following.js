// What becomes of uploaded media: told by the live feed, and asked for now and then in case the feed is away.

import { call } from "./api.js";
import { listen } from "./live.js";
import { token } from "./token.js";

const EVERY = 1500; // milliseconds between two looks; the feed is quicker
const AT_ONCE = 4; // questions in one look, of whom was asked longest ago: with many files the feed has to do
const LINGER = 10000; // milliseconds for which the feed stays open behind the last: the next file comes soon
const FINAL = new Set(["ready", "failed"]);

/** How far it is. Without a token only the media itself can be asked for, if it is public. */
async function asked(id) {
  const path = encodeURIComponent(id);
  return token() ? call("GET", `v1/uploads/${path}`) : { media: await call("GET", `v1/media/${path}`) };
}

/** Follows any number of media with one connection. */
export class Following {
  #followed = new Map(); // who was asked longest ago comes first
  #stop = null;
  #timer = 0;
  #leaving = 0;

  /** Calls `told({stage, percent})` on the way, `done(media)` at the end, and `lost(why)` where there will be none; gives
   * a function that ends it. */
  follow(id, hooks) {
    this.#followed.set(id, hooks);
    clearTimeout(this.#leaving);
    this.#stop ??= listen((message) => this.#hear(message));
    this.#timer ||= setInterval(() => this.#look(), EVERY);
    this.#ask(id);
    return () => this.#leave(id);
  }

  /** The token has changed: the feed is another. */
  restart() {
    this.#stop?.();
    this.#stop = this.#followed.size > 0 ? listen((message) => this.#hear(message)) : null;
  }

  #hear(message) {
    const hooks = this.#followed.get(message.id);
    if (!hooks) return;
    if (message.type === "progress" && message.stage) hooks.told(message);
    else if (message.media) this.#judge(message.id, message.media);
    else if (message.type === "media.deleted") this.#end(message.id, (one) => one.lost("It was deleted."));
  }

  #look() {
    for (const [id, hooks] of [...this.#followed].slice(0, AT_ONCE)) {
      this.#followed.delete(id);
      this.#followed.set(id, hooks);
      this.#ask(id);
    }
  }

  async #ask(id) {
    try {
      const found = await asked(id);
      if (found.progress) this.#followed.get(id)?.told(found.progress);
      if (found.media) this.#judge(id, found.media);
    } catch (refusal) {
      const forGood = refusal.status >= 400 && refusal.status < 500 && refusal.status !== 429;
      if (forGood) this.#end(id, (one) => one.lost(refusal.message));
    }
  }

  #judge(id, media) {
    if (FINAL.has(media.status)) this.#end(id, (one) => one.done(media));
  }

  #end(id, tell) {
    const hooks = this.#followed.get(id);
    if (!hooks) return;
    this.#leave(id);
    tell(hooks);
  }

  #leave(id) {
    this.#followed.delete(id);
    if (this.#followed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => {
      this.#stop?.();
      this.#stop = null;
    }, LINGER);
  }
}
