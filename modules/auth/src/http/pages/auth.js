// The pages behind links: read the token from behind the '#', wait for the button, ask the API, say what became of it.
"use strict";

const TEXTS = {
  en: {
    "verify.title": "Confirm your e-mail address",
    "verify.lead": "Press the button to confirm that this address is yours.",
    "verify.hint": "Only confirm if you have just registered yourself. If you have not, close this page.",
    "verify.action": "Confirm address",
    "verify.done": "Your address is confirmed. You can log in now and close this page.",
    "setup.title": "Create the first administrator",
    "setup.lead": "This account may do everything. The link works once.",
    "setup.email": "E-mail address",
    "setup.password": "Password",
    "setup.action": "Create administrator",
    "setup.done": "The administrator is created. You can log in now and close this page.",
    "reset.title": "Choose a new password",
    "reset.lead": "All devices are logged out with it. The link works once.",
    "reset.password": "New password",
    "reset.action": "Change password",
    "reset.done": "The password is changed. You can log in with it now and close this page.",
    "invitation.title": "Accept the invitation",
    "invitation.lead": "Choose a password for your account. The link works once.",
    "invitation.password": "Password",
    "invitation.action": "Accept",
    "invitation.done": "Your account is ready. You can log in now and close this page.",
    "report.title": "This was not me",
    "report.lead": "If you did not log in, somebody else knows your password.",
    "report.hint": "The button logs out all devices and makes the password unusable. We then send you a link to choose another one.",
    "report.action": "Lock everybody out",
    "report.done": "Everybody is logged out. A message with a link to choose another password is on its way to you.",
    "password_hint": "A few words in a row are long and easy to remember.",
    "reveal": "Show password",
    "wait": "One moment…",
    "no_token": "This page was opened without its token. Please use the whole link.",
    "fields": "Please correct the fields above.",
    "offline": "The service cannot be reached. Please try again.",
    "auth.unknown_token": "This link is not valid. Please use the whole link from the newest message.",
    "auth.spent_token": "This link was used already, or is too old. Please ask for a new one.",
    "auth.setup_completed": "There is an administrator already.",
  },
  de: {
    "verify.title": "E-Mail-Adresse bestätigen",
    "verify.lead": "Mit dem Knopf bestätigen Sie, dass diese Adresse Ihnen gehört.",
    "verify.hint": "Bestätigen Sie nur, wenn Sie sich gerade selbst registriert haben. Sonst schließen Sie diese Seite.",
    "verify.action": "Adresse bestätigen",
    "verify.done": "Ihre Adresse ist bestätigt. Sie können sich jetzt anmelden und diese Seite schließen.",
    "setup.title": "Ersten Administrator anlegen",
    "setup.lead": "Dieses Konto darf alles. Der Link gilt einmal.",
    "setup.email": "E-Mail-Adresse",
    "setup.password": "Passwort",
    "setup.action": "Administrator anlegen",
    "setup.done": "Der Administrator ist angelegt. Sie können sich jetzt anmelden und diese Seite schließen.",
    "reset.title": "Neues Passwort wählen",
    "reset.lead": "Damit werden alle Geräte abgemeldet. Der Link gilt einmal.",
    "reset.password": "Neues Passwort",
    "reset.action": "Passwort ändern",
    "reset.done": "Das Passwort ist geändert. Sie können sich jetzt damit anmelden und diese Seite schließen.",
    "invitation.title": "Einladung annehmen",
    "invitation.lead": "Wählen Sie ein Passwort für Ihr Konto. Der Link gilt einmal.",
    "invitation.password": "Passwort",
    "invitation.action": "Annehmen",
    "invitation.done": "Ihr Konto ist bereit. Sie können sich jetzt anmelden und diese Seite schließen.",
    "report.title": "Das war ich nicht",
    "report.lead": "Wenn Sie sich nicht angemeldet haben, kennt jemand anderes Ihr Passwort.",
    "report.hint": "Der Knopf meldet alle Geräte ab und macht das Passwort unbrauchbar. Danach schicken wir Ihnen einen Link, mit dem Sie ein anderes wählen.",
    "report.action": "Alle aussperren",
    "report.done": "Alle sind abgemeldet. Eine Nachricht mit einem Link für ein anderes Passwort ist unterwegs zu Ihnen.",
    "password_hint": "Ein paar Wörter hintereinander sind lang und merken sich leicht.",
    "reveal": "Passwort anzeigen",
    "wait": "Einen Moment …",
    "no_token": "Diese Seite wurde ohne ihren Schlüssel geöffnet. Bitte benutzen Sie den ganzen Link.",
    "fields": "Bitte berichtigen Sie die Felder oben.",
    "offline": "Der Dienst ist nicht erreichbar. Bitte versuchen Sie es noch einmal.",
    "auth.unknown_token": "Dieser Link ist ungültig. Bitte benutzen Sie den ganzen Link aus der neuesten Nachricht.",
    "auth.spent_token": "Dieser Link wurde schon benutzt oder ist zu alt. Bitte fordern Sie einen neuen an.",
    "auth.setup_completed": "Es gibt schon einen Administrator.",
    "auth.address_taken": "Diese Adresse gehört schon zu einem Konto.",
    "auth.busy": "Gerade ist zu viel los. Bitte versuchen Sie es gleich noch einmal.",
    "auth.too_many_requests": "Zu viele Versuche. Bitte warten Sie etwas.",
    "platform.database_unavailable": "Der Dienst antwortet gerade nicht. Bitte versuchen Sie es noch einmal.",
    "platform.internal": "Bei uns ist etwas schiefgegangen. Es wurde festgehalten.",
    "too_short": "Das Passwort ist zu kurz.",
    "too_long": "Das ist zu lang.",
    "common_password": "Dieses Passwort gehört zu den ersten, die alle ausprobieren.",
    "contains_address": "Das Passwort muss mehr sein als die Adresse, Ihr Name oder der Name des Dienstes mit ein paar Zeichen.",
    "malformed_address": "Das ist keine E-Mail-Adresse wie mia@example.org.",
    "ambiguous_address": "Die Adresse enthält Zeichen, die sich mit anderen verwechseln lassen.",
    "taken": "Diese Adresse gehört schon zu einem Konto.",
  },
};

const PAGES = {
  verify: { url: "/api/v1/auth/verifications", body: (token) => ({ token }) },
  setup: {
    url: "/api/v1/setup",
    body: (token) => ({ token, email: field("email").value, password: field("password").value }),
  },
  "password-reset": {
    texts: "reset",
    url: "/api/v1/auth/password-resets/confirm",
    body: (token) => ({ token, new_password: field("new_password").value }),
  },
  invitation: {
    url: "/api/v1/auth/invitations/accept",
    body: (token) => ({ token, password: field("password").value }),
  },
  "session-report": { texts: "report", url: "/api/v1/auth/session-reports", body: (token) => ({ token }) },
};

const language = (navigator.language || "en").toLowerCase().startsWith("de") ? "de" : "en";
const text = (key, otherwise) => TEXTS[language][key] || otherwise || TEXTS.en[key] || key;
const field = (id) => document.getElementById(id);
const page = document.body.dataset.page;
const texts = PAGES[page].texts || page;

// The token leaves the address bar at once, so that it stays in no history.
const given = new URLSearchParams(location.hash.slice(1));
const token = given.get("token") || new URLSearchParams(location.search).get("token");
history.replaceState(null, "", location.pathname);

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);

const form = field("form");
if (token) {
  form.hidden = false;
  form.addEventListener("submit", submit);
  const reveal = field("reveal");
  const password = document.querySelector("input[type=password]");
  if (reveal) reveal.addEventListener("change", () => { password.type = reveal.checked ? "text" : "password"; });
} else {
  say(text("no_token"), false);
}

async function submit(event) {
  event.preventDefault();
  clear();
  const button = field("submit");
  button.disabled = true;
  button.textContent = text("wait");
  try {
    const response = await fetch(PAGES[page].url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      credentials: "omit",
      body: JSON.stringify(PAGES[page].body(token)),
    });
    if (response.ok) return done();
    refuse(await response.json());
  } catch {
    say(text("offline"), false);
  } finally {
    button.disabled = false;
    button.textContent = text(`${texts}.action`);
  }
}

function done() {
  form.remove();
  say(text(`${texts}.done`), true);
}

// Shows each broken rule at its field, and everything else below the form.
function refuse(problem) {
  let first = null;
  for (const error of problem.errors || []) {
    const name = error.pointer.slice(1);
    const place = field(`${name}-problem`);
    if (!place) continue;
    const sentence = text(error.code, error.detail);
    place.textContent = place.hidden ? sentence : `${place.textContent} ${sentence}`;
    place.hidden = false;
    field(name).setAttribute("aria-invalid", "true");
    first = first || field(name);
  }
  const unknown = (problem.errors || []).some((error) => error.pointer === "/token");
  if (unknown) return say(text("auth.unknown_token"), false);
  say(first ? text("fields") : text(problem.code, problem.detail), false);
  if (first) first.focus();
}

function clear() {
  field("message").hidden = true;
  for (const place of document.querySelectorAll(".problem")) place.hidden = true;
  for (const input of document.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function say(sentence, good) {
  const message = field("message");
  message.textContent = sentence;
  message.classList.toggle("good", good);
  message.hidden = false;
  message.focus();
}
