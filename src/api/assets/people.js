// What the pages for people share. Texts of the server become text nodes, so nothing in them can become markup; the
// session's token is in a cookie that no script can read, and its CSRF token is in memory here and nowhere else.
"use strict";

const byId = (id) => document.getElementById(id);
let csrf = "";

function show(id, shown = true) {
  byId(id).hidden = !shown;
}

function say(id, text) {
  byId(id).textContent = text;
}

// Gives {status, body}; a status of 0 where no server answered.
async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf && method !== "GET") headers["X-Vestige-CSRF"] = csrf;
  try {
    const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
    const text = await answer.text();
    const parsed = text && (answer.headers.get("Content-Type") || "").includes("json") ? JSON.parse(text) : {};
    if (answer.ok && parsed.csrf) csrf = parsed.csrf;
    return { status: answer.status, body: parsed };
  } catch {
    return { status: 0, body: { detail: "The server does not answer. Try again in a moment." } };
  }
}

const fine = (answer) => answer.status >= 200 && answer.status < 300;

function fieldsOf(form) {
  const fields = {};
  for (const [name, value] of new FormData(form)) if (value !== "") fields[name] = value;
  return fields;
}

// Sends a form with `send(fields)`, once at a time; gives what it says to `then` where that went well.
function onSubmit(id, send, then) {
  const form = byId(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    say("failure", "");
    const answer = await send(fieldsOf(form));
    button.disabled = false;
    if (fine(answer)) await then(answer);
    else say("failure", answer.body.detail || "That did not work.");
  });
}

// The fragment, which no server saw, and which does not stay in the address or the history: what the link is good
// for and, behind "&", of which tenant it is.
function takeFragment() {
  const [link, tenant] = location.hash.slice(1).split("&tenant=");
  history.replaceState(null, "", location.pathname);
  return [link, tenant ? { tenant } : {}];
}
