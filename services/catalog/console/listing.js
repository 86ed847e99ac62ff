// The pages of a list: what is asked of POST /v1/media/search for the filters, and the way back by the cursors so far.

import { call } from "./api.js";

export const LIMIT = 24;
const SAME = ["media_type", "status", "profile"];

export class Listing {
  #filters = new Map();
  #cursors = [null]; // of each page from the first to the one that is shown
  #next = null;

  /** What is asked for from now on. `place` is what a listing with the same filters gave as its own. */
  filter(filters, place = [null]) {
    this.#filters = filters;
    this.#cursors = place;
  }

  /** Where in the list it is, as something that can be kept. */
  get place() {
    return this.#cursors;
  }

  get page() {
    return this.#cursors.length;
  }

  get more() {
    return this.#next !== null;
  }

  /** The media of the page that is then shown: the first, forward, back or the same. Throws Refusal, and stays where it
   * was. */
  async media(page, signal) {
    const cursors = {
      first: [null],
      forward: [...this.#cursors, this.#next],
      back: this.#cursors.slice(0, -1),
      same: this.#cursors,
    }[page];
    const body = { filter: condition(this.#filters), limit: LIMIT };
    if (this.#filters.get("q")) body.q = this.#filters.get("q");
    if (cursors.at(-1)) body.cursor = cursors.at(-1);
    const found = await call("POST", "v1/media/search", body, { signal });
    this.#cursors = cursors;
    this.#next = found.next_cursor;
    return found.items;
  }
}

/** The filters as the search takes them; days are the reader's own. */
export function condition(filters) {
  const all = SAME.filter((field) => filters.get(field)).map((field) => equal(field, filters.get(field)));
  if (filters.get("is_public")) all.push(equal("is_public", filters.get("is_public") === "true"));
  if (filters.get("from")) all.push({ field: "created_at", operator: "gte", value: midnight(filters.get("from"), 0) });
  if (filters.get("to")) all.push({ field: "created_at", operator: "lt", value: midnight(filters.get("to"), 1) });
  return all.length ? { and: all } : null;
}

function equal(field, value) {
  return { field, operator: "eq", value };
}

function midnight(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}
