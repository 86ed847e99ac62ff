// Shows a JSON schema as nested lists; what is named elsewhere opens on demand, so that recursion ends.

export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function schemaView(schema, api) {
  if (schema.$ref) return named(schema.$ref, api);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return joined(options, " or ", api);
  if (schema.allOf) return joined(schema.allOf, " and ", api);
  if (schema.type === "array") return element("span", {}, "list of ", schemaView(schema.items ?? {}, api));
  if (schema.properties) return properties(schema, api);
  return element("span", { class: "type" }, words(schema));
}

function joined(options, word, api) {
  const parts = options.flatMap((option, index) => (index ? [word, schemaView(option, api)] : [schemaView(option, api)]));
  return element("span", {}, ...parts);
}

function named(ref, api) {
  const name = ref.split("/").at(-1);
  const details = element("details", { class: "named" }, element("summary", {}, name));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) {
      const target = ref.slice(2).split("/").reduce((node, part) => node?.[part], api) ?? {};
      details.append(schemaView(target, api));
    }
  });
  return details;
}

function properties(schema, api) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties).map(([name, property]) => element("li", {},
    element("code", {}, name), required.has(name) ? element("b", {}, " required") : "", " ",
    schemaView(property, api), " ", element("span", { class: "description" }, property.description ?? "")));
  return element("ul", {}, ...rows);
}

function words(schema) {
  const type = [schema.type ?? "anything"].flat().join(" or ");
  const parts = [schema.format ? `${type} (${schema.format})` : type];
  if (schema.enum) parts.push(`one of ${schema.enum.join(", ")}`);
  if (schema.const !== undefined) parts.push(`always ${schema.const}`);
  for (const [key, word] of [["minimum", "at least"], ["maximum", "at most"], ["minLength", "length at least"], ["maxLength", "length at most"]]) {
    if (schema[key] !== undefined) parts.push(`${word} ${schema[key]}`);
  }
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.join(", ");
}
