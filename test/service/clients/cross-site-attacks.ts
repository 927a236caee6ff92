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
  "a fetch with CORS, of application/json": `(post, get, body) =>
    fetch(post, { method: "POST", headers: { "content-type": "application/json" }, body })`,
  // A message of gRPC-Web has five bytes before it: a flag and its length.
  "a fetch with CORS, of application/grpc-web+json": `(post, get, body) => fetch(post, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+json" },
    body: new Blob([new Uint8Array([0, 0, 0, 0, body.length]), body]),
  })`,
  ...Object.fromEntries(
    ["text/plain", "application/json"].map((type) => [
      `a beacon, of ${type}`,
      `(post, get, body) => navigator.sendBeacon(post, new Blob([body], { type: "${type}" }))`,
    ]),
  ),
  // The body is the JSON again, with a further member that holds the "="; forms of other types cannot carry JSON.
  "a form, of text/plain": `(post, get, body) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: post, enctype: "text/plain" });
    const input = document.createElement("input");
    Object.assign(input, { name: body.slice(0, -1) + ',"rest":"', value: '"}' });
    form.append(input);
    document.body.append(form);
    form.submit();
  }`,
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
