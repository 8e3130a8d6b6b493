"use strict";

// Of the address: whoever is of another tenant than the first is sent here with its name.
const named = new URLSearchParams(location.search).get("tenant");
const ofTenant = named ? { tenant: named } : {};

function showInside(session) {
  show("entrance", false);
  show("inside");
  say("name", session.name);
  say("roles", session.roles.length ? `Your roles: ${session.roles.join(", ")}.` : "");
  const byPassword = session.method === "password" || session.method === "mfa";
  show("own-password", byPassword);
  show("own-factor", byPassword && !session.restricted);
  say("news", session.restricted ? "Before anything else, set a password of your own." : "");
}

async function showEntrance() {
  csrf = "";
  show("inside", false);
  show("entrance");
  byId("login-name").focus();
  const answer = await call("GET", `/api/sign-in/providers?${new URLSearchParams(ofTenant)}`);
  const providers = fine(answer) ? answer.body.providers : [];
  byId("providers").replaceChildren(...providers.map((provider) => {
    const link = document.createElement("a");
    link.className = "button quiet";
    link.textContent = provider.label;
    link.href = `/api/sign-in/${encodeURIComponent(provider.name)}/begin?return_to=${provider.audience === "customers" ? "/mine" : "/sign-in"}`;
    return link;
  }));
  show("others", providers.length > 0);
}

onSubmit("login", (fields) => call("POST", "/api/sign-in", { ...ofTenant, ...fields }), (answer) => {
  if (answer.status === 202) {
    show("code-step");
    byId("code").focus();
    return;
  }
  byId("login").reset();
  show("code-step", false);
  showInside(answer.body);
});

onSubmit("change", (fields) => call("POST", "/api/account/password", fields), (answer) => {
  byId("change").reset();
  showInside(answer.body);
  say("news", "The password is changed. Everywhere else you are signed out.");
});

onSubmit("offer", (fields) => call("POST", "/api/account/second-factor", fields), (answer) => {
  byId("offer").reset();
  show("offer", false);
  show("confirm");
  say("secret", answer.body.secret);
  byId("uri").href = answer.body.uri;
  byId("confirm-code").focus();
});

onSubmit("confirm", (fields) => call("POST", "/api/account/second-factor/confirm", fields), (answer) => {
  byId("confirm").reset();
  show("confirm", false);
  say("secret", "");
  byId("uri").removeAttribute("href");
  show("recovery");
  byId("codes").replaceChildren(...answer.body.recoveryCodes.map((code) => {
    const item = document.createElement("li");
    item.textContent = code;
    return item;
  }));
});

byId("out").addEventListener("click", async () => {
  const answer = await call("DELETE", "/api/session");
  if (fine(answer) || answer.status === 401) location.reload();
  else say("failure", answer.body.detail);
});

call("GET", "/api/session").then((answer) => (fine(answer) ? showInside(answer.body) : showEntrance()));
