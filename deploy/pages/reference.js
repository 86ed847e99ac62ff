// Writes the reference page from /openapi.json. Text is only ever set as text, so no description can become markup.
import { element, schemaView } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head"];

async function main() {
  const main = document.getElementById("reference");
  const answer = await fetch("/openapi.json");
  if (!answer.ok) {
    main.replaceChildren(element("p", {}, `The API description is not available now (${answer.status}). Reload in a moment.`));
    return;
  }
  const api = await answer.json();
  const groups = byTag(api);
  main.replaceChildren(heading(api), ...groups.map(([tag, operations]) => group(tag, operations, api)));
  document.getElementById("contents").replaceChildren(...groups.flatMap(contents));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function byTag(api) {
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = item[method].tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      const operation = { ...item[method], parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])] };
      groups.get(tag).push({ id: `${method}-${path}`.replace(/[^\w-]+/g, "_"), method, path, operation });
    }
  }
  return [...groups].sort(([a], [b]) => a.localeCompare(b));
}

function heading(api) {
  return element("header", {}, element("h1", {}, `${api.info.title} ${api.info.version}`),
    element("p", {}, api.info.description ?? ""),
    element("p", {}, "Machine-readable: ", element("a", { href: "/openapi.json" }, "/openapi.json"),
      ". To try calls: ", element("a", { href: "/docs" }, "/docs"), "."));
}

function contents([tag, operations]) {
  const link = ({ id, method, path }) => element("a", { href: `#${id}` }, badge(method), path);
  return [element("h2", {}, tag), ...operations.map(link)];
}

function badge(method) {
  return element("span", { class: `method ${method}` }, method.toUpperCase());
}

function group(tag, operations, api) {
  return element("section", {}, element("h2", {}, tag), ...operations.map((entry) => article(entry, api)));
}

function article({ id, method, path, operation }, api) {
  return element("article", { id }, element("h3", {}, badge(method), element("code", {}, path)),
    element("p", { class: "summary" }, operation.summary ?? ""),
    element("p", { class: "description" }, operation.description ?? ""),
    ...parameters(operation, api), ...requestBody(operation, api), ...responses(operation, api));
}

function parameters(operation, api) {
  if (!operation.parameters?.length) return [];
  const rows = operation.parameters.map((found) => resolve(found, api)).map((parameter) => element("tr", {},
    element("td", {}, element("code", {}, parameter.name), parameter.required ? element("b", {}, " required") : ""),
    element("td", {}, parameter.in),
    element("td", {}, schemaView(parameter.schema ?? {}, api)),
    element("td", {}, parameter.description ?? "")));
  return [element("h4", {}, "Parameters"), element("table", {}, ...rows)];
}

function requestBody(operation, api) {
  if (!operation.requestBody) return [];
  return [element("h4", {}, "Body"), ...contentViews(resolve(operation.requestBody, api), api)];
}

function responses(operation, api) {
  const parts = Object.entries(operation.responses ?? {}).map(([status, found]) => {
    const response = resolve(found, api);
    return element("details", {}, element("summary", {}, element("b", {}, status), " ", response.description ?? ""),
      ...contentViews(response, api));
  });
  return parts.length ? [element("h4", {}, "Answers"), ...parts] : [];
}

function contentViews(holder, api) {
  return Object.entries(holder.content ?? {}).map(([type, content]) =>
    element("div", { class: "content" }, element("code", {}, type), schemaView(content.schema ?? {}, api)));
}

function resolve(found, api) {
  if (!found.$ref) return found;
  return found.$ref.slice(2).split("/").reduce((node, part) => node?.[part], api) ?? {};
}

await main();
