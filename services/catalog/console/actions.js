// What can be done with selected media, and how it went in one sentence.

import { call } from "./api.js";
import { counted } from "./measures.js";

const AT_ONCE = 4;

export const ACTIONS = {
  reprocess: { done: "will be processed again", run: reprocess },
  publish: { done: "made public", run: (media) => batch("publish", media, { is_public: true }) },
  hide: { done: "made private", run: (media) => batch("publish", media, { is_public: false }) },
  delete: { done: "deleted", run: (media) => batch("delete", media, {}) },
};

/** What became of it: a text, and whether all went well. Throws Refusal where the request as a whole was refused. */
export async function perform(name, media) {
  const { done, run } = ACTIONS[name];
  const refusals = (await run(media)).filter(Boolean);
  const well = media.length - refusals.length;
  const parts = [`${counted(well, "media", "media")} ${done}.`, ...new Set(refusals)];
  return { text: (well ? parts : parts.slice(1)).join("\n"), well: refusals.length === 0 };
}

/** One refusal for each media, null where there was none. */
async function batch(what, media, options) {
  const answer = await call("POST", `v1/media/batch/${what}`, { refs: media.map((each) => each.id), ...options });
  return answer.items.map((item, place) => (item.problem ? `${media[place].filename}: ${item.problem.detail}` : null));
}

async function reprocess(media) {
  const refusals = media.map(() => null);
  const places = media.keys();
  const work = async () => {
    for (const place of places) {
      try {
        await call("POST", `v1/media/${media[place].id}/reprocess`);
      } catch (refusal) {
        refusals[place] = `${media[place].filename}: ${refusal.message}`;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return refusals;
}
