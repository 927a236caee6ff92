import { expect, test } from "vitest";

import { parseVpicUrl } from "../../src/vpic/base-url.ts";

test.each([
  ["https://vpic.nhtsa.dot.gov/api", "https://vpic.nhtsa.dot.gov/api"],
  ["https://vpic.nhtsa.dot.gov/api/", "https://vpic.nhtsa.dot.gov/api"],
  [" https://mirror.example:8443 ", "https://mirror.example:8443"],
  ["http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api"],
  ["http://127.8.9.1/api", "http://127.8.9.1/api"],
  ["http://localhost:1/api", "http://localhost:1/api"],
  ["http://[::1]:1/api", "http://[::1]:1/api"],
])("%j is accepted", (text, expected) => {
  const url = parseVpicUrl(text);

  expect(url).toBe(expected);
});

test.each([
  ["", "expected a URL"],
  ["vpic.nhtsa.dot.gov/api", "expected a URL"],
  ["http://vpic.nhtsa.dot.gov/api", "must be https"],
  ["http://127.0.0.1.example/api", "must be https"],
  ["http://10.0.0.1/api", "must be https"],
  ["ftp://localhost/api", "must be https"],
  ["file:///etc/hosts", "must be https"],
  ["https://user:secret@vpic.nhtsa.dot.gov/api", "user name"],
  ["https://user:12/34@vpic.nhtsa.dot.gov/api", "user name"],
  ["https://vpic.nhtsa.dot.gov/api?format=json", "query"],
  ["https://vpic.nhtsa.dot.gov/api#x", "query"],
])("%j is refused: it %s", (text, fault) => {
  expect(() => parseVpicUrl(text)).toThrow(fault);
});
