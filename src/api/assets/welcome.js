"use strict";

const [link, ofTenant] = takeFragment();
const [purpose, token] = link.split("=");
const isAdministrator = purpose === "administrator";

if (token && (isAdministrator || purpose === "invitation")) {
  show("set");
  say("why", isAdministrator ? "You become the first administrator here. Choose a login name and a password." : "Choose the password with which you will sign in.");
  show("name-step", isAdministrator);
  byId("login-name").required = isAdministrator;
} else {
  say("failure", "This page is opened by a link that somebody sent you. If yours led here, it was cut short: copy all of it.");
}

onSubmit("set",
  (fields) => (isAdministrator ? call("POST", "/api/sign-in/first-administrator", { ...fields, ...ofTenant, token })
    : call("POST", "/api/sign-in/invitation", { ...ofTenant, password: fields.password, token })),
  () => {
    byId("set").reset();
    show("set", false);
    say("done", "The password is set. The link is not good any more.");
    if (ofTenant.tenant) byId("sign-in").href = `/sign-in?${new URLSearchParams(ofTenant)}`;
    show("onward");
  });
