import { createHash } from "node:crypto";
import { answerBytes } from "./exchange.ts";
import type { PlainHandler } from "./router.ts";

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
  form { display: flex; gap: .5rem; }
  input { flex: 1; font: inherit; font-family: ui-monospace, monospace; padding: .4rem .6rem; text-transform: uppercase; }
  [hidden] { display: none; }
  button { font: inherit; padding: .4rem 1rem; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 1.5rem 0; }
  dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
  [role=alert] { color: #b00020; } footer { margin-top: 3rem; opacity: .7; font-size: .875rem; }
`;

const SCRIPT = `
  const form = document.querySelector("form");
  const answer = document.querySelector("dl");
  const alert = document.querySelector("[role=alert]");
  const show = (name, value) => {
    if (value === undefined || value === "") return;
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = name;
    dd.textContent = value;
    answer.append(dt, dd);
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren();
    alert.textContent = "";
    try {
      const response = await fetch("/vehicle.v1.VehicleService/Lookup", {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "connect-protocol-version": "1",
          ...(form.token.value === "" ? {} : { authorization: "Bearer " + form.token.value.trim() }),
        },
        body: JSON.stringify({ vin: form.vin.value, view: "VIEW_FULL" }),
      });
      const body = await response.json();
      if (response.status === 401) form.token.hidden = false;
      if (!response.ok) throw new Error(body.message ?? response.statusText);
      show("Make", body.make);
      show("Model", body.model);
      show("Model year", body.modelYear);
      show("Body class", body.bodyClass);
      show("Verdict", body.verdict?.text);
      show("Suggested by NHTSA", body.verdict?.suggestedVin);
      show("Likely VIN (our guess)", body.verdict?.likelyVin);
      show("Remark", body.verdict?.additionalText);
      show("Answered by", body.source + (body.cached ? ", cached" : "") + (body.stale ? ", stale" : ""));
      show("Decoded", body.decodeTime);
      show("Date of the data", body.dataDate);
      for (const name of Object.keys(body.attributes ?? {}).sort()) show(name, body.attributes[name]);
    } catch (error) {
      alert.textContent = error.message;
    }
  });
`;

const SECURITY_POLICY = [
  "default-src 'none'",
  `style-src '${digestOf(STYLE)}'`,
  `script-src '${digestOf(SCRIPT)}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": SECURITY_POLICY,
  "cache-control": "no-cache",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * Serves the page that decodes a VIN in the browser.
 *
 * @param about a line for the foot of the page, such as where the data comes from; called for each request.
 */
export function createPageHandler(about: () => string): PlainHandler {
  return {
    answer(exchange) {
      answerBytes(exchange, 200, PAGE_HEADERS, render(about()));
    },
  };
}

function render(about: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>VehicleService</title>
<style>${STYLE}</style>
<h1>VehicleService</h1>
<p>Decodes vehicle identification numbers with NHTSA's vPIC data.</p>
<form>
  <input name="vin" aria-label="VIN" value="1XPWD40X1ED215307" maxlength="40" autofocus spellcheck="false" autocomplete="off">
  <input name="token" type="password" aria-label="Token" placeholder="token" maxlength="600" autocomplete="off" hidden>
  <button>Look up</button>
</form>
<p role="alert"></p>
<dl aria-live="polite"></dl>
<footer>${escapeHtml(about)}</footer>
<script>${SCRIPT}</script>
</html>
`;
}

function digestOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
