// The two APIs that the upload page speaks: where a form goes, and how the media of its answer is found again.

import { call, local, ROOT } from "./api.js";
import { token } from "./token.js";

const LOOKS = [0, 500, 1500]; // milliseconds before each: the search may know of a file a moment after its answer

export const APIS = {
  own: {
    path: "v1/uploads",
    media: async (answer) => answer.id,
    link: () => null,
  },
  library: {
    path: "media/upload",
    // It answers with a number, and shows no status: our own API does, where this caller may see the media.
    media: async (answer, options) => {
      if (!token() && !options.has("is_public")) return null; // nobody's, and not for everybody
      for (const wait of LOOKS) {
        await new Promise((done) => setTimeout(done, wait));
        const id = await idOf(answer.id);
        if (id) return id;
      }
      return null;
    },
    link: (answer) => new URL(local(answer.download_url), ROOT).href,
  },
};

/** By which our own API knows it; null where it is not shown to this caller. */
async function idOf(number) {
  try {
    const filter = { field: "number", operator: "eq", value: number };
    const found = await call("POST", "v1/media/search", { filter, limit: 1 });
    return found.items[0]?.id ?? null;
  } catch {
    return null;
  }
}

/** The fields before the file, so that a refusal comes before the bytes. */
export function formOf(file, options) {
  const form = new FormData();
  for (const name of ["profile", "description"]) {
    if (options.get(name)) form.append(name, options.get(name));
  }
  form.append("is_public", options.has("is_public") ? "true" : "false");
  form.append("file", file, file.name);
  return form;
}
