// The explorer: reads the OpenAPI document and makes of it a list, a page per operation, and a way to try each.
// No framework; every text goes in as text, never as HTML.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const state = { api: null, operations: [], token: null, user: null, permissions: [] };
const $ = (id) => document.getElementById(id);

/** Makes an element: h("a", { href: "/" }, "text", child). */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Text in which `code` stands between backquotes. */
const marked = (text) => String(text ?? "").split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));

/** Follows references within the document. */
function resolve(value) {
  let seen = 0;
  while (value && value.$ref && seen++ < 20) {
    const target = value.$ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], state.api);
    const { $ref, ...beside } = value;
    value = { ...target, ...beside, name$: $ref.split("/").pop() };
  }
  return value ?? {};
}

// ---- The list -------------------------------------------------------------------------------------------------------

function showList() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = state.operations.filter((operation) => words.every((word) => operation.haystack.includes(word)));
  const groups = state.api.tags.map(({ name }) => [name, shown.filter((operation) => operation.tag === name)]);
  $("list").replaceChildren(...groups.filter(([, items]) => items.length).flatMap(([name, items]) => [
    h("h2", {}, name),
    h("ul", {}, items.map((operation) =>
      h("li", {}, h("a", { href: `#${operation.id}`, title: operation.path, "data-id": operation.id },
        h("span", { class: `method ${operation.method}` }, operation.method === "delete" ? "DEL" : operation.method.toUpperCase()),
        h("span", {}, operation.title))))),
  ]));
  $("none").hidden = shown.length > 0;
  markCurrent();
}

function markCurrent() {
  for (const link of $("list").querySelectorAll("a")) {
    if (link.dataset.id === current()?.id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

const current = () => state.operations.find((operation) => operation.id === location.hash.slice(1)) ?? state.operations[0];

// ---- Schemas --------------------------------------------------------------------------------------------------------

function typeOf(schema) {
  const full = resolve(schema);
  const either = full.anyOf ?? full.oneOf;
  if (full.enum) return full.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (full.const !== undefined) return JSON.stringify(full.const);
  if (either) return either.map(typeOf).join(" | ");
  if (full.type === "array" || full.type?.includes?.("array")) return `[${typeOf(full.items ?? {})}]`;
  const type = Array.isArray(full.type) ? full.type.join(" | ") : full.type ?? "any";
  return full.format && type.includes("string") ? full.format : full.name$ && type === "object" ? full.name$ : type;
}

function boundsOf(schema) {
  const full = resolve(schema);
  const between = (low, high, unit) =>
    low != null && high != null ? `${low} to ${high}${unit}` : high != null ? `at most ${high}${unit}` : low ? `at least ${low}${unit}` : null;
  return [between(full.minLength, full.maxLength, " characters"), between(full.minItems, full.maxItems, " items"),
    between(full.minimum, full.maximum, "")].filter(Boolean).join(", ");
}

/** A schema as nested lists, references followed, recursion cut. */
function schemaList(schema, depth = 0) {
  const full = resolve(schema);
  const members = Object.entries(full.properties ?? {});
  if (!members.length || depth > 5) return null;
  return h("ul", depth ? {} : { class: "schema" }, members.map(([name, member]) => {
    const inner = resolve(member);
    const choice = (inner.anyOf ?? inner.oneOf)?.map(resolve).find((one) => one.properties || one.items);
    const below = inner.items ?? (inner.properties ? inner : choice?.items ?? choice);
    const bounds = boundsOf(member);
    return h("li", {},
      h("b", {}, name), full.required?.includes(name) && h("span", { class: "need", title: "required" }, "\u2009*"),
      " ", h("span", { class: "type" }, typeOf(member) + (bounds ? `, ${bounds}` : "")),
      (member.description ?? inner.description) && h("p", {}, marked(member.description ?? inner.description)),
      below && schemaList(below, depth + 1));
  }));
}

/** A value that fits a schema, where the document has no example. */
function sample(schema, depth = 0) {
  const full = resolve(schema);
  if (depth > 6) return null;
  if (full.example !== undefined) return full.example;
  if (full.examples?.length) return full.examples[0];
  if (full.enum) return full.enum[0];
  if (full.const !== undefined) return full.const;
  if (full.oneOf ?? full.anyOf) return sample((full.oneOf ?? full.anyOf)[0], depth + 1);
  const type = [full.type].flat()[0];
  if (type === "object" || full.properties) {
    return Object.fromEntries(Object.entries(full.properties ?? {}).map(([name, member]) => [name, sample(member, depth + 1)]));
  }
  if (type === "array") return [sample(full.items ?? {}, depth + 1)];
  if (type === "integer" || type === "number") return full.minimum ?? 0;
  if (type === "boolean") return false;
  if (full.format === "date") return "2026-01-15";
  if (full.pattern?.includes("[0-5][0-9]")) return "10:00";
  return type === "string" ? "string" : null;
}

// ---- An operation ---------------------------------------------------------------------------------------------------

function pretty(json) {
  const text = JSON.stringify(json, null, 2);
  const parts = text.split(/("(?:\\.|[^"\\])*"(?:\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g);
  return parts.map((part, place) => {
    if (place % 2 === 0) return part;
    const kind = part.endsWith(":") ? "key" : part[0] === '"' ? "text" : /^[tfn]/.test(part) ? "word" : "number";
    return h("span", { class: kind }, part);
  });
}

function facts(operation) {
  const needs = operation.spec["x-permission"];
  const has = !needs || state.permissions.includes(needs);
  const access = operation.isPublic ? ["anybody may call it", "ok"]
    : !state.token ? [needs ? `needs ${needs}` : "needs a signed-in user", ""]
    : has ? [needs ? `${needs}: you have it` : "you are signed in", "ok"] : [`${needs}: you lack it`, "no"];
  return h("ul", { class: "facts", id: "facts" },
    h("li", { class: access[1] }, access[0]), h("li", {}, operation.tag), h("li", {}, operation.id));
}

function field(parameter) {
  const id = `p-${parameter.in}-${parameter.name}`;
  const input = h("input", { id, name: parameter.name, "data-in": parameter.in, required: parameter.required, autocomplete: "off", spellcheck: "false",
    placeholder: parameter.in === "path" ? "id" : typeOf(parameter.schema) });
  return h("div", { class: "field" },
    h("label", { for: id }, parameter.name, parameter.required && h("span", { class: "need", title: "required" }, "\u2009*")), input,
    parameter.description && h("p", { class: "note" }, marked(parameter.description)));
}

function bodySection(operation) {
  const content = resolve(operation.spec.requestBody).content?.["application/json"];
  if (!content) return null;
  const text = JSON.stringify(content.example ?? sample(content.schema), null, 2);
  const editor = h("textarea", { id: "body", "aria-label": "Request body, JSON", rows: Math.min(22, text.split("\n").length + 1), spellcheck: "false" });
  editor.value = text;
  const schema = h("div", { role: "tabpanel", hidden: true }, schemaList(content.schema) ?? h("p", { class: "note" }, typeOf(content.schema)));
  const panel = h("div", { role: "tabpanel" }, editor, h("p", { class: "fault", id: "body-fault", role: "alert" }));
  return h("section", { class: "card" }, h("h2", {}, "Body"), tabs(["JSON", panel], ["Schema", schema]), panel, schema);
}

/** Two or more panels of which one is seen; arrow keys move between their tabs. */
function tabs(...panels) {
  const bar = h("div", { class: "tabs", role: "tablist" });
  const select = (chosen) => panels.forEach(([, panel], place) => {
    panel.hidden = place !== chosen;
    bar.children[place].setAttribute("aria-selected", String(place === chosen));
    bar.children[place].tabIndex = place === chosen ? 0 : -1;
  });
  bar.append(...panels.map(([name], place) => h("button", { type: "button", role: "tab", onclick: () => select(place),
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (place + step + panels.length) % panels.length;
      select(next);
      bar.children[next].focus();
    } }, name)));
  select(0);
  return bar;
}

function responsesSection(operation) {
  const [status, success] = Object.entries(operation.spec.responses).find(([code]) => code.startsWith("2")) ?? ["", {}];
  const content = resolve(success).content?.["application/json"] ?? {};
  const problems = Object.entries(operation.spec.responses).filter(([code]) => !code.startsWith("2"));
  const codes = (response) => [...(resolve(response).description ?? "").matchAll(/`([a-z-]+)`/g)].map(([, code]) => code);
  return h("section", { class: "card" },
    h("h2", {}, "Answers ", h("span", { class: `status s${status[0]}` }, status)),
    content.example !== undefined && h("pre", { tabindex: "0", "aria-label": "Example of an answer" }, pretty(content.example)),
    content.schema && h("details", { open: content.example === undefined }, h("summary", {}, `Schema: ${typeOf(content.schema)}`),
      schemaList(content.schema)),
    h("details", {}, h("summary", {}, `${problems.length} kinds of problems`),
      h("dl", { class: "codes" }, problems.flatMap(([code, response]) => [
        h("dt", {}, h("span", { class: `status s${code[0]}` }, code)),
        h("dd", {}, codes(response).flatMap((name, place) => [place ? ", " : "", h("a", { href: `/api/docs/problems#${name}` }, name)]))]))));
}

function showOperation() {
  const operation = current();
  if (!operation) return;
  const parameters = (operation.spec.parameters ?? []).map(resolve);
  const group = (place, title) => {
    const fields = parameters.filter((parameter) => parameter.in === place);
    return fields.length > 0 && h("section", { class: "card" }, h("h2", {}, title), fields.map(field));
  };
  const headers = parameters.filter((parameter) => parameter.in === "header");
  const path = operation.path.split(/(\{[^}]+\})/).map((part) => (part[0] === "{" ? h("span", { class: "id" }, part) : part));
  const form = h("form", { id: "request", novalidate: true, onsubmit: send },
    group("path", "Path"), group("query", "Query"), bodySection(operation),
    headers.length > 0 && h("details", {}, h("summary", {}, "Headers"), headers.map(field)),
    h("div", { class: "actions" }, h("button", { class: "primary", type: "submit", id: "send" }, "Send"),
      h("span", { class: "note" }, "or Ctrl + Enter")));
  document.title = `${operation.title} · HealthcareStack API`;
  $("main").replaceChildren(
    h("header", {}, h("h1", {}, operation.title),
      h("div", { class: "target" }, h("span", { class: `method ${operation.method}` }, operation.method.toUpperCase()), h("code", {}, path)),
      facts(operation)),
    h("div", { class: "sides" }, form,
      h("div", {}, h("section", { class: "card", id: "outcome", hidden: true, tabindex: "-1", "aria-label": "The answer" }), responsesSection(operation))));
  markCurrent();
}

// ---- Trying it ------------------------------------------------------------------------------------------------------

/** The request that the form describes, or null if something is missing. */
function compose(operation) {
  const values = (place) => [...$("request").querySelectorAll(`[data-in=${place}]`)];
  let fine = true;
  for (const input of values("path")) {
    const missing = !input.value.trim();
    input.setAttribute("aria-invalid", String(missing));
    if (missing && fine) input.focus();
    fine &&= !missing;
  }
  const path = values("path").reduce((at, input) => at.replace(`{${input.name}}`, encodeURIComponent(input.value.trim())), operation.path);
  const query = new URLSearchParams(values("query").filter((input) => input.value !== "").map((input) => [input.name, input.value]));
  const headers = Object.fromEntries(values("header").filter((input) => input.value !== "").map((input) => [input.name, input.value]));
  if (state.token && !operation.isPublic) headers.Authorization = `Bearer ${state.token}`;
  const body = $("body")?.value;
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    try {
      JSON.parse(body);
      $("body-fault").textContent = "";
    } catch (error) {
      // Sent all the same: how the service answers to it may be just what is to be seen.
      $("body-fault").textContent = `This is not JSON: ${error.message}`;
    }
  }
  return fine && { url: path + (query.size ? `?${query}` : ""), options: { method: operation.method.toUpperCase(), headers, body, cache: "no-store" } };
}

async function send(event) {
  event.preventDefault();
  const operation = current();
  const request = compose(operation);
  if (!request) return say("An id is missing in the path.");
  $("send").disabled = true;
  const outcome = $("outcome");
  const started = performance.now();
  try {
    const response = await fetch(request.url, request.options);
    const text = await response.text();
    const took = performance.now() - started;
    if (operation !== current()) return;
    let body = text;
    try { body = pretty(JSON.parse(text)); } catch { /* shown as it is */ }
    // After a login through the form the token is at hand for what follows.
    if (response.ok && operation.id === "login") await signedIn(JSON.parse(text), JSON.parse(request.options.body).username);
    outcome.replaceChildren(
      h("div", { class: "outcome" }, h("span", { class: `status s${String(response.status)[0]}` }, `${response.status} ${response.statusText}`.trim()),
        h("span", { class: "note" }, `${took.toFixed(0)} ms, ${new Blob([text]).size} bytes`)),
      text ? h("pre", { tabindex: "0", "aria-label": "The answer's body" }, body) : h("p", { class: "note" }, "No body."),
      h("details", {}, h("summary", {}, "Headers"), h("table", {}, h("tbody", {}, [...response.headers].map(([name, value]) =>
        h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)))))),
      h("details", {}, h("summary", {}, "As curl"), h("pre", { tabindex: "0" }, curl(request))));
    say(`Answered ${response.status}.`);
  } catch (error) {
    outcome.replaceChildren(h("div", { class: "outcome" }, h("span", { class: "status s0" }, "no answer")), h("p", {}, error.message));
    say("There was no answer.");
  } finally {
    outcome.hidden = false;
    if ($("send")) $("send").disabled = false;
    outcome.scrollIntoView({ block: "nearest" });
  }
}

function curl({ url, options }) {
  const quote = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
  const headers = Object.entries(options.headers).map(([name, value]) => `-H ${quote(`${name}: ${name === "Authorization" ? "Bearer $TOKEN" : value}`)}`);
  // The token itself is not shown: such lines are copied into tickets.
  const lines = headers.map((line) => line.replace(/^-H 'Authorization: Bearer \$TOKEN'$/, '-H "Authorization: Bearer $TOKEN"'));
  return [`curl -X ${options.method} ${quote(location.origin + url)}`, ...lines, options.body !== undefined && `-d ${quote(options.body)}`]
    .filter(Boolean).join(" \\\n  ");
}

// ---- Signing in -----------------------------------------------------------------------------------------------------

async function signIn(event) {
  event.preventDefault();
  const [username, password, code] = [$("username").value, $("password").value, $("code").value || undefined];
  $("signin-fault").textContent = "";
  try {
    const response = await fetch("/api/auth/login", { method: "POST", cache: "no-store",
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ username, password, code }) });
    const body = await response.json();
    if (body.code === "second-factor-required") {
      $("code-label").hidden = false;
      $("code").focus();
    }
    if (!response.ok) throw new Error(body.title ?? `The answer was ${response.status}.`);
    await signedIn(body, username);
    toggleSignIn(false);
    $("account").focus();
  } catch (error) {
    $("signin-fault").textContent = error.message;
  }
}

async function signedIn({ token }, username) {
  Object.assign(state, { token, user: username, permissions: [] });
  $("password").value = $("code").value = "";
  $("code-label").hidden = true;
  $("account").textContent = `${username} · sign out`;
  say(`Signed in as ${username}.`);
  try {
    const response = await fetch("/api/auth/me", { cache: "no-store", headers: { Authorization: `Bearer ${token}` } });
    if (response.ok) state.permissions = (await response.json()).permissions ?? [];
  } catch { /* only the hints are less exact then */ }
  refreshFacts();
}

async function signOut() {
  const { token } = state;
  Object.assign(state, { token: null, user: null, permissions: [] });
  $("account").textContent = "Sign in";
  refreshFacts();
  say("Signed out.");
  try {
    await fetch("/api/auth/logout", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
  } catch { /* it expires by itself */ }
}

const refreshFacts = () => $("facts")?.replaceWith(facts(current()));

function toggleSignIn(open) {
  $("signin").hidden = !open;
  $("account").setAttribute("aria-expanded", String(open));
  if (open) $("username").focus();
}

const say = (text) => { $("say").textContent = text; };

// ---- Start ----------------------------------------------------------------------------------------------------------

function listen() {
  $("account").disabled = false;
  $("account").addEventListener("click", () => (state.token ? signOut() : toggleSignIn($("signin").hidden)));
  $("signin").addEventListener("submit", signIn);
  $("search").addEventListener("input", showList);
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") $("list").querySelector("a")?.click();
  });
  addEventListener("hashchange", () => { showOperation(); $("main").focus({ preventScroll: true }); scrollTo(0, 0); });
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); $("search").focus(); }
    if (event.key === "Escape") {
      if (!$("signin").hidden) { toggleSignIn(false); $("account").focus(); }
      else if (document.activeElement === $("search")) { $("search").value = ""; showList(); }
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("request")?.requestSubmit();
  });
  addEventListener("pointerdown", (event) => {
    if (!$("signin").hidden && !event.target.closest(".account")) toggleSignIn(false);
  });
}

async function start() {
  const response = await fetch("/api/docs/openapi.json");
  if (!response.ok) throw new Error(`the document answered ${response.status}`);
  state.api = await response.json();
  state.operations = Object.entries(state.api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const spec = item[method];
      const title = spec.summary.replace(/\.$/, "");
      const haystack = [method, path, title, spec.operationId, spec.tags[0], spec["x-permission"] ?? ""].join(" ").toLowerCase();
      return { id: spec.operationId, method, path, title, tag: spec.tags[0], isPublic: spec.security?.length === 0, spec, haystack };
    }));
  listen();
  showList();
  showOperation();
}

start().catch((error) => { $("main").replaceChildren(h("p", { class: "fault" }, `The documentation cannot be shown: ${error.message}`)); });
