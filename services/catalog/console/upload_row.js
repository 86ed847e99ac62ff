// One file of the upload page: what is shown of it from the choice to the end.

import { element } from "./elements.js";
import { size } from "./measures.js";
import { show, showBlob, sign, whenSeen } from "./thumbnails.js";

const LARGEST_PREVIEW = 20e6; // bytes
const KINDS = ["image", "video", "audio"];

export class Row {
  /** `cancel` and `again` are called when their buttons are pressed. */
  constructor(file, { cancel, again }) {
    const id = `file-${Row.#made++}`;
    const kind = KINDS.find((each) => file.type.startsWith(`${each}/`)) ?? "other";
    this.preview = element("span", { class: "thumbnail" }, sign(kind));
    if (kind === "image" && file.size < LARGEST_PREVIEW) {
      whenSeen(this.preview, () => showBlob(this.preview, file, "").catch(() => undefined)); // not every browser can
    }
    this.bar = element("progress", { max: 100, value: 0, "aria-labelledby": id });
    this.state = element("p", { class: "state" }, "Waiting.");
    this.links = element("p", { class: "links", hidden: true });
    this.cancel = element("button", { type: "button", class: "quiet", onclick: cancel }, "Cancel");
    this.again = element("button", { type: "button", hidden: true, onclick: again }, "Try again");
    this.cancel.setAttribute("aria-describedby", id);
    this.again.setAttribute("aria-describedby", id);
    this.root = element(
      "li", { class: "row-of-file", "data-state": "waiting" }, this.preview,
      element(
        "div", { class: "what" },
        element("p", { class: "name", id }, file.name, " ", element("span", { class: "state" }, size(file.size))),
        this.bar, this.state, this.links,
      ),
      element("div", { class: "buttons" }, this.cancel, this.again),
    );
  }

  static #made = 0;

  get phase() {
    return this.root.dataset.state;
  }

  sending(sent, all) {
    this.#is("sending", sent < all || !all ? `${size(sent)} of ${size(all)} sent.` : "Sent; the server stores it.");
    this.bar.value = all ? (100 * sent) / all : 0;
  }

  processing({ stage, percent } = {}) {
    // Where a job cannot tell how far it is, it says 0: then the bar only moves.
    this.#is("processing", stage ? `Processing: ${stage}${percent ? `, ${percent} %` : ""}.` : "Processing.");
    if (percent) this.bar.value = percent;
    else this.bar.removeAttribute("value");
  }

  /** `links`: what leads to the file, as elements. */
  ready(text, { thumbnail = "", links = [] } = {}) {
    this.#kept("ready", text, links);
    if (thumbnail) whenSeen(this.preview, () => show(this.preview, thumbnail, ""));
  }

  /** The server has it, and tells no more. */
  stored(text, { links }) {
    this.#kept("stored", text, links);
  }

  /** `phase`: refused, failed, lost or cancelled. */
  ended(phase, text, { again = false } = {}) {
    this.#is(phase, text);
    this.#over();
    this.again.hidden = !again;
  }

  waiting() {
    this.#is("waiting", "Waiting.");
    this.bar.hidden = false;
    this.bar.value = 0;
    this.cancel.hidden = false;
    this.again.hidden = true;
  }

  #is(phase, text) {
    this.root.dataset.state = phase;
    this.state.textContent = text;
  }

  #kept(phase, text, links) {
    this.#is(phase, text);
    this.#over();
    this.links.replaceChildren(...links.flatMap((link) => [link, " "]));
    this.links.hidden = links.length === 0;
  }

  #over() {
    this.bar.hidden = true;
    this.cancel.hidden = true;
  }
}
