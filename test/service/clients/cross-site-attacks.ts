/** What a page can try with a URL and a body, as the text of a function of both, to be run in the page. */
export const ATTACKS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"].map(
      (type) => [
        `a fetch without CORS, of ${type}`,
        `(post, get, body) => fetch(post, { method: "POST", mode: "no-cors", headers: { "content-type": "${type}" }, body })`,
      ],
    ),
  ),
  "a fetch without CORS and content type": `(post, get, body) =>
    fetch(post, { method: "POST", mode: "no-cors", body: new Blob([body]) })`,
  ...Object.fromEntries(
    ["application/json", "application/connect+json", "application/grpc-web+proto"].map((type) => [
      `a fetch with CORS, of ${type}`,
      `(post, get, body) => fetch(post, { method: "POST", headers: { "content-type": "${type}" }, body })`,
    ]),
  ),
  ...Object.fromEntries(
    ["text/plain", "application/json"].map((type) => [
      `a beacon, of ${type}`,
      `(post, get, body) => navigator.sendBeacon(post, new Blob([body], { type: "${type}" }))`,
    ]),
  ),
  ...Object.fromEntries(
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"].map((type) => [
      `a form, of ${type}`,
      // As text/plain the body is the JSON again, with a further member that holds the "=".
      `(post, get, body) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: post, enctype: "${type}" });
        const input = document.createElement("input");
        Object.assign(input, { name: body.slice(0, -1) + ',"rest":"', value: '"}' });
        form.append(input);
        document.body.append(form);
        form.submit();
      }`,
    ]),
  ),
  "a GET without CORS": `(post, get) => fetch(get, { mode: "no-cors" })`,
  "a GET with CORS": `(post, get) => fetch(get)`,
  ...Object.fromEntries(
    [
      ["img", "src"],
      ["script", "src"],
      ["iframe", "src"],
    ].map(([tag, attribute]) => [
      `a tag ${tag}`,
      `(post, get) => document.body.append(Object.assign(document.createElement("${tag}"), { ${attribute}: get }))`,
    ]),
  ),
  "a link that prefetches": `(post, get) =>
    document.head.append(Object.assign(document.createElement("link"), { rel: "prefetch", href: get }))`,
  "a link that is followed": `(post, get) => { location.href = get; }`,
};
