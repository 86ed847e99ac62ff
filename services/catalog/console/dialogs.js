// The two dialogs of the list: the question before a delete, and everything about one media.

import { call, signed } from "./api.js";
import { byId, element } from "./elements.js";
import { counted, moment, seconds, size } from "./measures.js";
import { show, sign } from "./thumbnails.js";

const NAMED = 5;
const PLAYED = ["video/mp4", "audio/mpeg"]; // every browser can
const LARGEST_FIRST = ["large", "medium", "poster", "small", "thumbnail", "waveform_png"];

/** Whether somebody said yes. */
export function sureToDelete(media) {
  const dialog = byId("confirm");
  byId("question").textContent = `Delete ${counted(media.length, "media", "media")}?`;
  byId("consequence").textContent = "The files and all that was made of them are erased for everybody, for good.";
  const named = media.slice(0, NAMED).map((each) => element("li", {}, `${each.filename}, of ${each.owner}`));
  if (media.length > NAMED) named.push(element("li", {}, `and ${media.length - NAMED} more`));
  byId("names").replaceChildren(...named);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

/** Opens the details of a media as they are now. */
export async function showDetails(listed) {
  const body = byId("details-body");
  byId("details").addEventListener("close", () => body.replaceChildren(), { once: true }); // what plays stops
  byId("details-name").textContent = listed.filename;
  body.replaceChildren(element("p", { class: "state" }, "Loading ..."));
  byId("details").showModal();
  try {
    const media = await call("GET", `v1/media/${listed.id}`);
    body.replaceChildren(...picture(media), ...(await player(media)), links(media), table(media), json(media));
  } catch (refusal) {
    body.replaceChildren(element("p", { class: "notice bad" }, refusal.message));
  }
}

function picture(media) {
  const pictures = media.variants.filter((each) => each.mime_type.startsWith("image/"));
  const found = LARGEST_FIRST.map((name) => pictures.find((each) => each.name === name)).find(Boolean);
  if (!found) return [];
  const box = element("div", { class: "picture" }, sign(media.media_type));
  show(box, found.url, media.alt_text ?? "");
  return [box];
}

/** The film or the sound that was made of it, if there is one; it streams, so its address has to work without a token. */
async function player(media) {
  const found = media.variants.find((each) => PLAYED.includes(each.mime_type));
  if (!found) return [];
  const src = await signed(media.id, { variant: found.name, disposition: "inline" });
  const kind = found.mime_type.split("/")[0];
  return [element(kind, { class: "player", src, controls: true, preload: "metadata", "aria-label": media.filename })];
}

function links(media) {
  const refused = element("span", { class: "state", role: "status" });
  const button = (text, options) =>
    element("button", { type: "button", class: "quiet", onclick: () => open(media.id, options, refused) }, text);
  const made = media.variants.map((each) => button(each.name, { variant: each.name, disposition: "inline" }));
  return element("p", { class: "row" }, button("original", { disposition: "inline" }), ...made, refused);
}

async function open(id, options, refused) {
  try {
    refused.textContent = "";
    window.open(await signed(id, options), "_blank", "noopener,noreferrer");
  } catch (refusal) {
    refused.textContent = refusal.message;
  }
}

function table(media) {
  const rows = [
    ["Id", media.public_id],
    ["Number", media.number],
    ["Status", media.error ? `${media.status}: ${media.error.detail} (${media.error.code})` : media.status],
    ["Type", media.mime_type],
    ["Size", size(media.size)],
    ["Sides", media.width ? `${media.width} x ${media.height}` : null],
    ["Duration", media.duration ? seconds(media.duration) : null],
    ["Description", media.description],
    ["Caption", media.caption],
    ["Alternative text", media.alt_text],
    ["Tags", media.tags?.join(", ")],
    ["Owner", media.owner],
    ["Visibility", media.is_public ? "public" : "private"],
    ["Moderation", media.moderation],
    ["Profile", media.profile],
    ["Entity", media.entity ? `${media.entity.type} ${media.entity.id}` : null],
    ["Uploaded", moment(media.created_at)],
    ["Changed", moment(media.updated_at)],
    ["Warnings", media.warnings?.join(", ")],
    ["SHA-256", media.sha256],
  ];
  const told = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", {}, ...told.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
}

function json(media) {
  return element(
    "details", {}, element("summary", {}, "As JSON"), element("pre", { tabIndex: 0 }, JSON.stringify(media, null, 2)),
  );
}
