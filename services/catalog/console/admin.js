// The list of everybody's media: filters, pages, and what an admin does with what is selected.

import { perform } from "./actions.js";
import { showDetails, sureToDelete } from "./dialogs.js";
import { byId, say } from "./elements.js";
import { Listing } from "./listing.js";
import { listen } from "./live.js";
import { counted } from "./measures.js";
import { MediaRows } from "./media_rows.js";
import { bearerName, claims, mountToken, roles } from "./token.js";

const form = byId("filters");
const notice = byId("notice");
const listing = new Listing();
const rows = new MediaRows(byId("rows"), { selected, details: showDetails });
const buttons = [...document.querySelectorAll("[data-action]")];
let acting = false;
let asked = null; // the request whose answer is waited for
let left = history.state?.place ?? null; // where this page was when it was left or loaded again
let stopListening = () => undefined;

/** Why this caller gets no list; empty where they may have one. The server checks it all the same. */
function forbidden() {
  const said = claims();
  if (said === null) return "This list is for the role admin. Enter the token of an admin.";
  if (typeof said.sub !== "string" || roles().includes("admin")) return "";
  const held = roles();
  return `This list is for the role admin. The token is ${bearerName()}'s, who has ${held.length ? `the role ${held.join(", ")}` : "no role"}.`;
}

function begin() {
  const place = left;
  left = null; // another caller begins at the start
  stopListening();
  rows.show([]);
  byId("listing").hidden = true;
  form.hidden = forbidden() !== "";
  say(notice, forbidden(), "bad");
  if (forbidden()) return;
  stopListening = listen(hear);
  filtered(place);
}

/** `place`: where in the list to begin, as the history keeps it. */
function filtered(place = null) {
  const filters = new Map(new FormData(form));
  const query = new URLSearchParams([...filters].filter(([name, value]) => value !== (name === "profile" ? "mediafiles" : "")));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  listing.filter(filters, place ?? undefined);
  if (!forbidden()) load("same", { restoring: place !== null });
}

/** Shows the first page, or that forward, back or the same again. */
async function load(page, { quietly = false, restoring = false } = {}) {
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  byId("rows").setAttribute("aria-busy", "true");
  try {
    const media = await listing.media(page, signal);
    if (!quietly) say(notice, "");
    byId("listing").hidden = false;
    rows.show(media);
    paged(media.length);
    history.replaceState({ place: listing.place }, "");
  } catch (refusal) {
    if (refusal.name === "AbortError") return;
    if (restoring) {
      filtered(); // the place is of another caller, or too old
      return;
    }
    say(notice, refusal.message, "bad");
  }
  byId("rows").removeAttribute("aria-busy");
}

function paged(count) {
  const nothing = listing.more ? "Nothing on this page; there is more on the next" : "Nothing is found";
  byId("page").textContent = `Page ${listing.page}: ${count ? counted(count, "media", "media") : nothing}.`;
  // A button that has the focus keeps it: disabled it would drop it.
  byId("back").setAttribute("aria-disabled", String(listing.page === 1));
  byId("forward").setAttribute("aria-disabled", String(!listing.more));
}

function selected() {
  const count = rows.selected.length;
  byId("selected").textContent = count ? `${count} selected.` : "None selected.";
  for (const button of buttons) button.disabled = acting || count === 0;
  byId("all").checked = count > 0 && count === rows.count;
  byId("all").indeterminate = count > 0 && count < rows.count;
}

async function act(name) {
  const media = rows.selected;
  if (name === "delete" && !(await sureToDelete(media))) return;
  acting = true; // a second press would do it twice
  selected();
  try {
    const { text, well } = await perform(name, media);
    say(notice, text, well ? "good" : "bad");
  } catch (refusal) {
    say(notice, refusal.message, "bad");
  }
  acting = false;
  selected();
  await load("same", { quietly: true });
  const button = buttons.find((each) => each.dataset.action === name);
  (button.disabled ? byId("all") : button).focus();
}

function hear(message) {
  if (message.type === "progress") rows.progress(message);
  else if (message.type === "media.updated") rows.update(message.media);
  else if (message.type === "media.deleted") removed(message.id);
  else if (message.type === "resync") load("same", { quietly: true });
}

function removed(id) {
  if (!rows.remove(id)) return;
  paged(rows.count);
  if (rows.count === 0 && listing.more) load("same", { quietly: true });
}

function turn(page) {
  byId(page).addEventListener("click", async (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") === "true") return;
    await load(page);
    byId("listing").scrollIntoView();
  });
}

function restoreFilters() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (field && "value" in field) field.value = value;
  }
}

restoreFilters();
mountToken(byId("token-form"), { hint: "The role admin is needed here.", changed: begin });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  filtered();
});
form.addEventListener("change", (event) => {
  if (event.target.name !== "q") filtered(); // words are asked for when they are typed whole
});
form.addEventListener("reset", () => setTimeout(filtered)); // the fields are empty only afterwards
turn("back");
turn("forward");
byId("all").addEventListener("change", (event) => rows.select(event.target.checked));
for (const button of buttons) button.addEventListener("click", () => act(button.dataset.action));
begin();
