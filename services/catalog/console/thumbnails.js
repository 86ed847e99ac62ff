// Small pictures of media. They are fetched with the token, which an <img> alone could not send, and only when they
// come into sight.

import { bytes, local } from "./api.js";
import { element } from "./elements.js";

const SIGNS = { image: "Image", video: "Video", audio: "Audio", document: "Document", other: "File" };
const loading = new WeakMap();
const sight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    loading.get(target)?.();
  }
}, { rootMargin: "200px" });

/** A box with the media's thumbnail, or with its kind where there is none. */
export function thumbnail(media) {
  const box = element("span", { class: "thumbnail" }, sign(media.media_type));
  if (media.thumbnail_url) {
    whenSeen(box, () => show(box, media.thumbnail_url, media.alt_text ?? ""));
  }
  return box;
}

/** Calls `load` once, when the box comes into sight: a thousand pictures at once would fill the memory. */
export function whenSeen(box, load) {
  loading.set(box, load);
  sight.observe(box);
}

export function sign(type) {
  return element("span", { class: "sign" }, SIGNS[type] ?? SIGNS.other);
}

/** Puts the picture at an address of the API into a box; the box stays as it was where it cannot be had. */
export async function show(box, url, alt) {
  try {
    await showBlob(box, await bytes(local(url)), alt);
  } catch {
    box.classList.add("without");
  }
}

export async function showBlob(box, blob, alt) {
  const image = element("img", { alt, src: URL.createObjectURL(blob) });
  try {
    await image.decode();
    box.replaceChildren(image);
  } finally {
    URL.revokeObjectURL(image.src); // it is decoded, or never will be
  }
}
