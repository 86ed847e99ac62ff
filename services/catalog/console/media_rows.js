// The rows of the list of media, and which of them are selected.

import { element } from "./elements.js";
import { moment, seconds, size } from "./measures.js";
import { thumbnail } from "./thumbnails.js";

export class MediaRows {
  #list;
  #hooks;
  #shown = new Map();

  /** `hooks`: `selected()` when the selection has changed, `details(media)` when somebody wants to see one. */
  constructor(list, hooks) {
    this.#list = list;
    this.#hooks = hooks;
  }

  show(media) {
    const chosen = new Set(this.selected.map((each) => each.id));
    this.#shown = new Map(media.map((each) => [each.id, this.#row(each, chosen.has(each.id))]));
    this.#list.replaceChildren(...[...this.#shown.values()].map((row) => row.root));
    this.#hooks.selected();
  }

  /** The media has changed meanwhile; the row keeps its place, its selection and its focus. */
  update(media) {
    const row = this.#shown.get(media.id);
    if (!row) return;
    const picture = row.media.thumbnail_url !== media.thumbnail_url;
    row.media = media;
    row.facts.replaceChildren(...facts(media));
    if (picture) row.root.querySelector(".thumbnail").replaceWith(thumbnail(media));
  }

  /** How far it is, until the next update. */
  progress({ id, stage, percent }) {
    const status = this.#shown.get(id)?.facts.querySelector("[data-status=processing]");
    if (status) status.textContent = `processing: ${stage}${percent ? ` ${percent} %` : ""}`;
  }

  /** Whether it was shown. */
  remove(id) {
    this.#shown.get(id)?.root.remove();
    const was = this.#shown.delete(id);
    this.#hooks.selected();
    return was;
  }

  get count() {
    return this.#shown.size;
  }

  get selected() {
    return [...this.#shown.values()].filter((row) => row.box.checked).map((row) => row.media);
  }

  select(all) {
    for (const row of this.#shown.values()) row.box.checked = all;
    this.#hooks.selected();
  }

  #row(media, chosen) {
    const id = `name-${media.id}`;
    const box = element("input", { type: "checkbox", checked: chosen, "aria-labelledby": id, onchange: () => this.#hooks.selected() });
    const what = element("p", { class: "facts" }, ...facts(media));
    const row = { media, box, facts: what };
    row.root = element(
      "li", { "data-id": media.id }, element("label", { class: "pick" }, box), thumbnail(media),
      element(
        "div", { class: "what" },
        element("p", { class: "name", id }, media.filename),
        media.caption || media.description ? element("p", { class: "caption state" }, media.caption || media.description) : null,
        what,
      ),
      element("button", { type: "button", class: "quiet", "aria-describedby": id, onclick: () => this.#hooks.details(row.media) }, "Details"),
    );
    return row;
  }
}

function facts(media) {
  return [
    element("span", { class: "pill", "data-status": media.status }, media.status),
    element("span", { class: "pill", "data-public": String(media.is_public) }, media.is_public ? "public" : "private"),
    media.moderation === "approved" ? "" : element("span", { class: "pill" }, media.moderation),
    element("span", {}, media.media_type),
    element("span", {}, size(media.size)),
    media.width ? element("span", {}, `${media.width} x ${media.height}`) : "",
    media.duration ? element("span", {}, seconds(media.duration)) : "",
    element("span", {}, `of ${media.owner}`),
    element("time", { dateTime: media.created_at }, moment(media.created_at)),
    media.error ? element("span", { class: "why" }, media.error.detail) : "",
  ].filter(Boolean);
}
