// Builds elements out of texts. Nothing here, or anywhere on these pages, reads markup: what comes from a file or a
// caption is always a text node.

/** `on...` properties are listeners, `class` and names with a dash are attributes, all others properties. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class" || name.includes("-") || !(name in made)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** Shows a text and has it read out; `kind` is "good", "bad" or nothing. */
export function say(place, text, kind = "") {
  place.textContent = text;
  place.className = `notice ${kind}`;
  place.hidden = text === "";
}
