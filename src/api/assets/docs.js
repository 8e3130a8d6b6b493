// Shows /openapi.json. Everything becomes a text node, so nothing in the description can become markup.
"use strict";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
  return made;
}

// `code` in texts, and nothing else.
function inline(text) {
  return text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

function paragraphs(text = "") {
  return text.split("\n\n").filter(Boolean).map((part) => element("p", {}, inline(part)));
}

let description;

function resolve(node) {
  if (!node || !node.$ref) return node;
  const found = node.$ref.slice(2).split("/").reduce((at, step) => at[step], description);
  const { $ref, ...rest } = node;
  return { ...found, ...rest };
}

const nameOf = (node) => node.$ref && node.$ref.split("/").pop();

function formOf(node) {
  if (node.$ref) return [element("a", { href: `#schema-${nameOf(node)}` }, nameOf(node))];
  const alternatives = node.oneOf || node.anyOf;
  if (alternatives) return alternatives.flatMap((part, i) => (i ? [" or ", ...formOf(part)] : formOf(part)));
  const types = [node.type || []].flat();
  if (types.includes("array") && node.items) return ["list of ", ...formOf(node.items), types.includes("null") ? " or null" : ""];
  const name = node.format && types.includes("string") ? types.map((type) => (type === "string" ? node.format : type)) : types;
  return [name.join(" or ") || (node.enum || "const" in node ? "constant" : "any value")];
}

function boundsOf(node) {
  const said = [];
  if (node.enum) said.push("one of " + node.enum.map((value) => JSON.stringify(value)).join(", "));
  if ("const" in node) said.push("always " + JSON.stringify(node.const));
  const range = (low, high, unit) => {
    if (low === undefined && high === undefined) return;
    if (low === high) said.push(`exactly ${low}${unit}`);
    else if (high === undefined) said.push(`at least ${low}${unit}`);
    else said.push(low ? `${low} to ${high.toLocaleString("en")}${unit}` : `at most ${high.toLocaleString("en")}${unit}`);
  };
  range(node.minimum, node.maximum, "");
  range(node.minLength, node.maxLength, " characters");
  range(node.minItems, node.maxItems, " elements");
  if ("default" in node) said.push("default " + JSON.stringify(node.default));
  return said.join("; ");
}

function row(name, node, needed) {
  const bounds = boundsOf(node);
  const whole = resolve(node);
  const example = node.example ?? (node.examples && node.examples[0]);
  const showsExample = example !== undefined && example !== null && typeof example !== "object";
  return element("tr", {},
    element("th", { scope: "row" }, name, needed ? element("span", { class: "needed" }, "required") : undefined),
    element("td", { class: "form" }, formOf(node.schema || node)),
    element("td", {}, element("p", {}, inline(whole.description || "")),
      bounds ? element("span", { class: "bounds quiet" }, bounds) : undefined,
      showsExample ? element("span", { class: "bounds quiet" }, "for example ", element("code", {}, String(example))) : undefined));
}

function table(rows, first) {
  const head = element("tr", {}, [first, "form", "meaning"].map((text) => element("th", { scope: "col" }, text)));
  return element("table", { class: "fields" }, element("thead", {}, head), element("tbody", {}, rows));
}

function fields(schema) {
  const whole = resolve(schema);
  if (!whole || !whole.properties) return undefined;
  const required = whole.required || [];
  return table(Object.entries(whole.properties).map(([name, node]) => row(name, node, required.includes(name))), "member");
}

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const code = (text) => element("pre", { tabindex: "0" }, element("code", {}, text));

function examplesOf(media) {
  if (media.example !== undefined) return [["Example", media.example]];
  return Object.values(media.examples || {}).map((example) => [example.summary, example.value]);
}

function content(media) {
  return Object.entries(media || {}).map(([type, part]) => [
    element("p", {}, element("code", {}, type), ": ", formOf(part.schema),
      part.schema.description ? [". ", inline(part.schema.description)] : undefined),
    part.schema.$ref || part.schema.oneOf ? undefined : fields(part.schema),
    examplesOf(part).map(([title, value]) => element("details", {}, element("summary", {}, title), code(shown(value)))),
  ]);
}

function curl(method, path, operation) {
  const parameters = (operation.parameters || []).map(resolve);
  let url = path;
  for (const one of parameters)
    if (one.in === "path") url = url.replace(`{${one.name}}`, one.name === "path" ? one.example : encodeURIComponent(one.example));
  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const query = parameters.filter((one) => one.in === "query").map((one) => `${one.name}=${encodeURIComponent(one.example)}`);
  if (query.length) url += "?" + query.join("&");
  const parts = [`curl -s ${quoted(location.origin + url)}`];
  if (method !== "get" && method !== "post") parts[0] += ` -X ${method.toUpperCase()}`;
  if (url.includes("/stream?")) parts[0] += " -N";
  if (url.includes("/tile/")) parts[0] += " --output tile";
  if (operation["x-scope"]) parts.push(`-H "Authorization: Bearer $key"`);
  if (operation.requestBody) {
    const [type, media] = Object.entries(operation.requestBody.content)[0];
    parts.push(`-H 'Content-Type: ${type}'`, "-d " + quoted(shown(examplesOf(media)[0][1])));
  }
  return code(parts.join(" \\\n  "));
}

function answers(operation) {
  return Object.entries(operation.responses).map(([status, given]) => {
    const response = resolve(given);
    const headers = Object.entries(response.headers || {}).map(([name, header]) => row(name, { ...header, type: header.schema.type }, false));
    return element("details", { class: "answer" },
      element("summary", {}, element("span", { class: status < "400" ? "status" : "status refused" }, status), inline(response.description)),
      headers.length ? table(headers, "header") : undefined, content(response.content));
  });
}

const badge = (method) => element("span", { class: `method ${method}` }, method.toUpperCase());

function operationArticle(path, method, operation) {
  const parameters = (operation.parameters || []).map(resolve);
  const scope = operation["x-scope"] ? `needs a key with scope ${operation["x-scope"]}` : "no key needed";
  const body = operation.requestBody;
  return element("article", { id: operation.operationId },
    element("h3", {}, operation.summary),
    element("div", { class: "route" }, badge(method), element("span", { class: "path" }, path), element("span", { class: "scope" }, scope)),
    paragraphs(operation.description),
    parameters.length ? [element("h4", {}, "Parameters"),
      table(parameters.map((one) => row(one.name, { ...one, ...boundsAndForm(one.schema) }, one.required)), "name")] : undefined,
    body ? [element("h4", {}, "Request body"), paragraphs(body.description), content(body.content)] : undefined,
    element("h4", {}, "Try it"), curl(method, path, operation),
    element("h4", {}, "Answers"), answers(operation));
}

// A parameter's own description and example win over those of its schema.
function boundsAndForm(schema) {
  const { description: _, examples: __, ...rest } = resolve(schema);
  return rest;
}

function schemaArticle(name, schema) {
  const example = schema.examples && schema.examples[0];
  const isWorthShowing = schema.type === "object" && example !== undefined;
  return element("article", { id: `schema-${name}` },
    element("h3", {}, name), paragraphs(schema.description),
    fields(schema) || element("p", { class: "quiet" }, [formOf(schema), boundsOf(schema)].flat().filter(Boolean).join("; ")),
    isWorthShowing ? element("details", {}, element("summary", {}, "Example"), code(shown(example))) : undefined);
}

function operationsOf(tag) {
  return Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).filter(([, operation]) => operation.tags.includes(tag)).map(([method, operation]) => [path, method, operation]));
}

function render() {
  const main = document.getElementById("content");
  const contents = document.getElementById("contents");
  main.replaceChildren(element("h1", {}, "HTTP interface"),
    element("p", { class: "lead" }, `Version ${description.info.version}; the same for programs: `, element("a", { href: "/openapi.json" }, "/openapi.json")),
    ...paragraphs(description.info.description));
  for (const tag of description.tags) {
    const operations = operationsOf(tag.name);
    const title = tag.name[0].toUpperCase() + tag.name.slice(1);
    main.append(element("section", { "aria-labelledby": `tag-${tag.name}` },
      element("h2", { id: `tag-${tag.name}` }, title), paragraphs(tag.description),
      operations.map(([path, method, operation]) => operationArticle(path, method, operation))));
    contents.append(element("h2", {}, title), element("ul", {}, operations.map(([, method, operation]) =>
      element("li", {}, element("a", { href: `#${operation.operationId}` }, badge(method), element("span", {}, operation.summary))))));
  }
  const schemas = Object.entries(description.components.schemas);
  main.append(element("section", { "aria-labelledby": "schemas" }, element("h2", { id: "schemas" }, "Schemas"),
    schemas.map(([name, schema]) => schemaArticle(name, schema))));
  contents.append(element("h2", {}, "Schemas"), element("ul", {}, schemas.map(([name]) =>
    element("li", {}, element("a", { href: `#schema-${name}` }, name)))));
  // On a narrow screen the list would push the text away.
  if (matchMedia("(max-width: 52rem)").matches) contents.open = false;
  // The target did not exist when the browser looked for it.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

async function load() {
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    description = await answer.json();
    render();
  } catch (error) {
    const state = document.getElementById("state") || document.getElementById("content").appendChild(element("p"));
    state.className = "problem";
    state.setAttribute("role", "alert");
    state.textContent = `The description could not be shown (${error.message}). It is at /openapi.json; reload this page to try again.`;
  }
}

load();
