// The upload page: files are chosen or dropped, sent three at a time, and followed until they are ready.

import { call, signed } from "./api.js";
import { byId, element, say } from "./elements.js";
import { Following } from "./following.js";
import { counted, seconds, size } from "./measures.js";
import { newKey, send } from "./sending.js";
import { mountToken } from "./token.js";
import { APIS, formOf } from "./upload_apis.js";
import { Row } from "./upload_row.js";

const AT_ONCE = 3;
const CONFLICT = 409;
const UNTOLD = "Stored. Whether it could be processed is told of public files only, or with the token of who may see it.";
const following = new Following();
const rows = [];
const waiting = [];
let underWay = 0;

function take(files) {
  say(byId("notice"), "");
  for (const file of files) {
    const options = new FormData(byId("options"));
    const upload = { file, options, api: APIS[options.get("api")], key: newKey(), signal: null, stop: null };
    upload.row = new Row(file, { cancel: () => cancel(upload), again: () => again(upload) });
    rows.push(upload.row);
    byId("rows").prepend(upload.row.root);
    waiting.push(upload);
  }
  next();
}

function next() {
  while (underWay < AT_ONCE && waiting.length > 0) {
    underWay += 1;
    run(waiting.shift()).finally(() => {
      underWay -= 1;
      next();
    });
  }
  summarise();
}

async function run(upload) {
  const { row, api } = upload;
  const stopping = new AbortController();
  upload.stop = () => stopping.abort();
  row.sending(0, upload.file.size);
  try {
    const answer = await send(api.path, formOf(upload.file, upload.options), {
      key: upload.key,
      signal: stopping.signal,
      progress: (sent, all) => {
        upload.whole = sent === all;
        // Of the whole form, of which the file is nearly all.
        row.sending(Math.floor((upload.file.size * sent) / all), upload.file.size);
      },
    });
    const id = await api.media(answer, upload.options);
    if (id) follow(upload, id, answer);
    else row.stored(UNTOLD, { links: [open(api.link(answer), "Open")] });
  } catch (error) {
    const [phase, text] = outcome(error, upload);
    row.ended(phase, text, { again: true });
  }
}

/** What an upload without an answer has come to. */
function outcome(error, upload) {
  if (error.name === "AbortError") {
    return ["cancelled", upload.whole ? "Cancelled; the server may have it already." : "Cancelled; nothing is kept."];
  }
  const known = error.status && error.status !== CONFLICT; // that is the first attempt, which still runs
  return [known ? "refused" : "lost", error.message];
}

function follow(upload, id, answer) {
  const { row } = upload;
  row.processing();
  const leave = following.follow(id, {
    told: (progress) => row.processing(progress),
    done: (media) => finished(upload, media, answer),
    lost: (why) => {
      row.ended("failed", why);
      summarise();
    },
  });
  upload.stop = async () => {
    try {
      await call("POST", `v1/media/${id}/cancel`);
    } catch (refusal) {
      // Too late, or not ours to stop: then what comes is shown.
      row.state.textContent = refusal.message;
      return;
    }
    leave();
    row.ended("cancelled", "Cancelled; the file is kept, and can be processed again.");
    summarise();
  };
}

async function finished(upload, media, answer) {
  const { row, api } = upload;
  if (media.status === "failed") {
    row.ended("failed", media.error?.detail ?? "It could not be processed.");
  } else {
    const sides = media.width ? `, ${media.width} x ${media.height}` : "";
    const time = media.duration ? `, ${seconds(media.duration)}` : "";
    const text = `Ready: ${media.mime_type}${sides}${time}, ${size(media.size)}. ${media.public_id}`;
    row.ready(text, { thumbnail: media.thumbnail_url, links: await links(media, api.link(answer)) });
  }
  summarise();
}

async function links(media, own) {
  if (own) return [open(own, "Open")];
  try {
    const shown = await signed(media.id, { disposition: "inline" });
    return [open(shown, "Open (this link works for an hour)")];
  } catch {
    return []; // the file is there all the same
  }
}

function open(href, text) {
  return element("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
}

function cancel(upload) {
  const place = waiting.indexOf(upload);
  if (place < 0) {
    upload.stop();
    return;
  }
  waiting.splice(place, 1);
  upload.row.ended("cancelled", "Cancelled; nothing was sent.", { again: true });
  summarise();
}

function again(upload) {
  // What was refused is asked for anew; what the server may have is the same upload, and never a second one.
  const same = upload.row.phase === "lost" || (upload.row.phase === "cancelled" && upload.whole);
  if (!same) upload.key = newKey();
  upload.whole = false;
  upload.row.waiting();
  waiting.push(upload);
  next();
}

function summarise() {
  const of = (...phases) => rows.filter((row) => phases.includes(row.phase)).length;
  const parts = [
    `${of("ready")} of ${counted(rows.length, "file")} ready`,
    of("stored") && `${of("stored")} stored`,
    of("failed") && `${of("failed")} failed`,
    of("refused", "lost") && `${of("refused", "lost")} not taken`,
    of("cancelled") && `${of("cancelled")} cancelled`,
  ];
  const text = rows.length ? `${parts.filter(Boolean).join(", ")}.` : "None yet.";
  if (byId("summary").textContent !== text) byId("summary").textContent = text;
}

function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
  take(items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile()).filter(Boolean));
  if (folders.length > 0) say(byId("notice"), "A folder cannot be dropped here; choose the files in it.", "bad");
}

function mountDrop(area) {
  const mark = (over) => area.classList.toggle("over", over);
  // The whole window takes files: one that misses the area would replace the page.
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    dropped(event.dataTransfer);
  });
}

mountToken(byId("token-form"), {
  hint: "Without a token the library API takes files where it is open to everybody.",
  changed: () => following.restart(),
});
mountDrop(byId("drop"));
byId("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});
byId("options").addEventListener("submit", (event) => event.preventDefault());
byId("options").addEventListener("change", ({ currentTarget: { elements } }) => {
  elements.profile.disabled = elements.api.value === "library"; // it has one of its own
});
window.addEventListener("beforeunload", (event) => {
  if (underWay > 0 || waiting.length > 0) event.preventDefault();
});
