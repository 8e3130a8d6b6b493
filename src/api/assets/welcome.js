"use strict";

const [purpose, token] = takeFragment().split("=");
const isAdministrator = purpose === "administrator";

if (token && (isAdministrator || purpose === "invitation")) {
  show("set");
  say("why", isAdministrator ? "You become the first administrator of this server. Choose a login name and a password." : "Choose the password with which you will sign in.");
  show("name-step", isAdministrator);
  byId("login-name").required = isAdministrator;
} else {
  say("failure", "This page is opened by a link that somebody sent you. If yours led here, it was cut short: copy all of it.");
}

onSubmit("set",
  (fields) => (isAdministrator ? call("POST", "/api/sign-in/first-administrator", { ...fields, token })
    : call("POST", "/api/sign-in/invitation", { password: fields.password, token })),
  () => {
    byId("set").reset();
    show("set", false);
    say("done", "The password is set. The link is not good any more.");
    show("onward");
  });
