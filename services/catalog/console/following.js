// What becomes of uploaded media: told by the live feed, and asked for now and then in case the feed is away.

import { call } from "./api.js";
import { listen } from "./live.js";
import { token } from "./token.js";

const EVERY = 1500; // milliseconds between two questions; the feed is quicker
const FINAL = new Set(["ready", "failed"]);

/** How far it is. Without a token only the media itself can be asked for, if it is public. */
async function asked(id) {
  const path = encodeURIComponent(id);
  return token() ? call("GET", `v1/uploads/${path}`) : { media: await call("GET", `v1/media/${path}`) };
}

/** Follows any number of media with one connection. */
export class Following {
  #followed = new Map();
  #stop = null;

  /** Calls `told({stage, percent})` on the way and `done(media)` at the end; gives a function that ends it. */
  follow(id, { told, done, lost }) {
    const one = { told, done, lost, timer: 0 };
    this.#followed.set(id, one);
    this.#stop ??= listen((message) => this.#hear(message));
    this.#ask(id, one);
    return () => this.#leave(id);
  }

  /** The token has changed: the feed is another. */
  restart() {
    this.#stop?.();
    this.#stop = this.#followed.size ? listen((message) => this.#hear(message)) : null;
  }

  #hear(message) {
    const one = this.#followed.get(message.id);
    if (!one) return;
    if (message.type === "progress" && message.stage) one.told(message);
    else if (message.media) this.#look(message.id, one, message.media);
    else if (message.type === "media.deleted") this.#end(message.id, () => one.lost("It was deleted."));
  }

  async #ask(id, one) {
    try {
      const found = await asked(id);
      if (this.#followed.get(id) !== one) return;
      if (found.progress) one.told(found.progress);
      if (found.media) this.#look(id, one, found.media);
    } catch (refusal) {
      if (refusal.status >= 400 && refusal.status < 500 && refusal.status !== 429) {
        this.#end(id, () => one.lost(refusal.message));
      }
    }
    if (this.#followed.get(id) === one) one.timer = setTimeout(() => this.#ask(id, one), EVERY);
  }

  #look(id, one, media) {
    if (FINAL.has(media.status)) this.#end(id, () => one.done(media));
  }

  #end(id, tell) {
    if (!this.#followed.has(id)) return;
    this.#leave(id);
    tell();
  }

  #leave(id) {
    clearTimeout(this.#followed.get(id)?.timer);
    this.#followed.delete(id);
    if (this.#followed.size === 0) {
      this.#stop?.();
      this.#stop = null;
    }
  }
}
