// The caller's token: asked for in one field, kept until the tab is closed, never part of a page's address.

import { element } from "./elements.js";
import { moment } from "./measures.js";

const KEY = "tripod.token";
let kept = read();

function read() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // storage is switched off: then it lives as long as the page
  }
}

function keep(text) {
  kept = text.replace(/^\s*bearer\s+/i, "").replace(/\s+/g, "");
  try {
    if (kept) sessionStorage.setItem(KEY, kept);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}

export function token() {
  return kept;
}

/** The header that goes with a request; none without a token. */
export function bearer() {
  // A header takes no other characters, and fetch would throw instead of asking.
  return kept ? { Authorization: `Bearer ${encodeURI(kept)}` } : {};
}

/** What the token says of its bearer; null without one, `{}` where it cannot be read. The server alone checks it. */
export function claims() {
  if (!kept) return null;
  try {
    const part = kept.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const raw = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    const said = JSON.parse(new TextDecoder().decode(raw));
    return said && typeof said === "object" ? said : {};
  } catch {
    return {};
  }
}

export function roles() {
  const said = claims()?.roles;
  return Array.isArray(said) ? said.filter((role) => typeof role === "string") : [];
}

/** Who the token names, in words. */
export function bearerName() {
  const said = claims();
  if (said === null) return "";
  return typeof said.sub === "string" ? said.sub : "somebody";
}

/** Fills a form with the field, and calls `changed` whenever there is another token. */
export function mountToken(form, { hint, changed }) {
  const field = element("input", {
    id: "token", name: "token", type: "password", autocomplete: "off", spellcheck: false, "aria-describedby": "token-state",
    placeholder: "eyJ...",
  });
  const state = element("p", { id: "token-state", class: "state", role: "status" });
  const forget = element("button", { type: "button", class: "quiet" }, "Forget");
  const show = () => {
    state.textContent = described(hint);
    field.value = kept;
    forget.hidden = !kept;
  };
  const use = (text) => {
    keep(text);
    show();
    changed();
  };
  form.classList.add("token");
  form.append(
    element("label", { htmlFor: "token" }, "Token"),
    element("div", { class: "row" }, field, element("button", { type: "submit" }, "Use"), forget),
    state,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    use(field.value);
  });
  forget.addEventListener("click", () => {
    use("");
    field.focus();
  });
  show();
}

function described(hint) {
  const said = claims();
  if (said === null) return hint;
  if (typeof said.sub !== "string") return "This cannot be read as a token; it is sent as it is.";
  const held = roles();
  const until = typeof said.exp === "number" ? new Date(said.exp * 1000) : null;
  if (until && until < new Date()) return `The token of ${said.sub} has expired (${moment(until)}).`;
  return `The token of ${said.sub}${held.length ? `, ${held.join(" and ")}` : ""}${until ? `, until ${moment(until)}` : ""}.`;
}
