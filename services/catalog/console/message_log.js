// The messages of a connection, the newest first, shown by type.

import { element } from "./elements.js";
import { counted } from "./measures.js";

const MOST = 500; // older ones go, so that a busy server does not fill the tab
const TOLD_AFTER = 1000; // milliseconds: a count that is read out each time would never end

export class MessageLog {
  #list;
  #types;
  #count;
  #known = new Set();
  #timer = 0;

  constructor({ list, types, count }) {
    this.#list = list;
    this.#types = types;
    this.#count = count;
    types.addEventListener("change", () => this.#show());
  }

  add(text) {
    const { type, about, pretty } = read(text);
    this.#learn(type);
    const time = new Date();
    const entry = element(
      "li", { "data-type": type },
      element(
        "details", { open: true },
        element(
          "summary", {},
          element("time", { dateTime: time.toISOString() }, time.toLocaleTimeString()), " ",
          element("strong", {}, type), " ", element("span", { class: "state" }, about),
        ),
        element("pre", { tabIndex: 0 }, pretty),
      ),
    );
    entry.hidden = !this.#wants(type);
    this.#list.prepend(entry);
    while (this.#list.children.length > MOST) this.#list.lastElementChild.remove();
    this.#tell();
  }

  clear() {
    this.#list.replaceChildren();
    this.#tell();
  }

  #learn(type) {
    if (this.#known.has(type)) return;
    this.#known.add(type);
    this.#types.append(element("option", { value: type }, type));
  }

  #wants(type) {
    return this.#types.value === "" || this.#types.value === type;
  }

  #show() {
    for (const entry of this.#list.children) entry.hidden = !this.#wants(entry.dataset.type);
    this.#tell();
  }

  #tell() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      const all = this.#list.children.length;
      const shown = [...this.#list.children].filter((entry) => !entry.hidden).length;
      this.#count.textContent = all ? `${counted(all, "message")}${shown < all ? `, ${shown} shown` : ""}.` : "None yet.";
    }, TOLD_AFTER);
  }
}

/** What a message is of, in a few words, and its JSON with line breaks; a text that is no JSON as it came. */
function read(text) {
  try {
    const said = JSON.parse(text);
    const type = [said.type, said.event, said.action].find((each) => typeof each === "string") ?? "message";
    const of = said.media ?? said.data ?? said;
    const about = [of?.filename, said.stage && `${said.stage} ${said.percent ?? 0} %`, said.id ?? of?.id].filter(Boolean);
    return { type, about: about.join(", "), pretty: JSON.stringify(said, null, 2) };
  } catch {
    return { type: "text", about: "", pretty: String(text) };
  }
}
