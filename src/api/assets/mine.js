"use strict";

// The link is used up by pressing the button, not by opening this page: whatever looks at links in mail, such as a
// scanner, opens pages and presses nothing.
const [token, ofTenant] = takeFragment();
const shownMembers = ["targetType", "targetId", "sourceType"];
let cursor = null;
let words = {};

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function row(list, name, value) {
  const term = document.createElement("dt");
  const definition = document.createElement("dd");
  term.textContent = name;
  definition.textContent = text(value);
  list.append(term, definition);
}

function entryOf(event) {
  const item = document.createElement("li");
  const when = document.createElement("time");
  when.dateTime = event.time;
  when.textContent = new Date(event.time).toLocaleString();
  const what = document.createElement("b");
  what.textContent = `${event.kind}: ${event.action}`;
  const list = document.createElement("dl");
  for (const name of shownMembers) if (event[name]) row(list, name, event[name]);
  for (const [name, value] of Object.entries(event.detail || {})) row(list, name, value);
  for (const change of event.changes || []) row(list, change.field, `${text(change.old ?? "")} → ${text(change.new ?? "")}`);
  item.append(what, " ", when, list);
  return item;
}

async function find(more) {
  const body = { ...words, limit: 50 };
  if (more && cursor) body.cursor = cursor;
  const answer = await call("POST", "/auditlog/events/v2", body);
  if (fine(answer)) {
    if (!more) byId("entries").replaceChildren();
    byId("entries").append(...answer.body.events.map(entryOf));
    cursor = answer.body.cursor;
    show("more", Boolean(cursor));
    say("news", byId("entries").childElementCount ? "" : "Nothing was found.");
  }
  return answer;
}

async function showInside(session) {
  show("open", false);
  show("inside");
  say("name", session.name);
  say("until", new Date(session.expiresAt).toLocaleString());
  byId("until").dateTime = session.expiresAt;
  const answer = await find(false);
  if (!fine(answer)) say("failure", answer.body.detail);
}

onSubmit("open", () => call("POST", "/api/sign-in/link", { ...ofTenant, token }), (answer) => showInside(answer.body));
onSubmit("find", (fields) => {
  words = fields;
  return find(false);
}, () => {});
byId("more").addEventListener("click", () => find(true));
byId("out").addEventListener("click", async () => {
  const answer = await call("DELETE", "/api/session");
  if (fine(answer) || answer.status === 401) location.assign("/");
  else say("failure", answer.body.detail);
});

if (token) {
  show("open");
} else {
  call("GET", "/api/session").then((answer) => {
    if (fine(answer)) showInside(answer.body);
    else say("failure", "You are not signed in. Open the link that was sent to you.");
  });
}
