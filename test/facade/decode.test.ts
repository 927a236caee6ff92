import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const TRUCK = "1XPWD40X1ED215307";
const OTHER = "1XKWDB0X57J211825";

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

async function start(options: TestAppOptions = {}): Promise<TestApp> {
  return stack.use(await startTestApp(options));
}

async function post(app: TestApp, body: string, { query = "", headers = {} } = {}) {
  const response = await fetch(`http://${app.httpAddress}/decode${query}`, { method: "POST", body, headers });
  return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
}

describe("POST /decode", () => {
  test("decodes CSV to CSV, with the content type that curl sends", async () => {
    const app = await start();
    const headers = { "content-type": "application/x-www-form-urlencoded" };

    const answer = await post(app, `id,vin\n1,${TRUCK}\n2,nonsense\n`, { query: "?columns=vin,model_year", headers });

    expect(answer).toMatchObject({ status: 200, type: "text/csv; charset=utf-8" });
    expect(answer.body.split("\n")).toEqual([
      "id,vin,vpic_vin,model_year,error",
      expect.stringMatching(new RegExp(`^1,${TRUCK},${TRUCK},\\d{4},$`)),
      expect.stringMatching(/^2,nonsense,,,"vin: a VIN has 17 characters, this has 8/),
      "",
    ]);
  });

  test("decodes NDJSON to NDJSON", async () => {
    const app = await start();

    const answer = await post(app, `{"vin":"${TRUCK}"}\n{"vin":"${OTHER}"}\n`, { query: "?columns=source" });

    expect(answer).toEqual({
      status: 200,
      type: "application/x-ndjson",
      body: `{"vin":"${TRUCK}","source":"vpic","error":""}\n{"vin":"${OTHER}","source":"vpic","error":""}\n`,
    });
  });

  test("answers in the format that the client asks for", async () => {
    const app = await start();

    const answer = await post(app, `${TRUCK}\n`, {
      query: "?columns=source",
      headers: { accept: "application/x-ndjson" },
    });

    expect(answer.body).toBe(`{"vin":"${TRUCK}","source":"vpic","error":""}\n`);
  });

  test.each([
    ["", "", "table: there are no rows"],
    ["", "a,b\n1,2\n", "table: it is not clear which column has the VINs; name it with column. The columns: a, b"],
    ["?colum=a", `vin\n${TRUCK}\n`, "colum: unknown parameter; use column, year_column, columns, full"],
    ["?columns=maek", `vin\n${TRUCK}\n`, "table: columns: unknown column maek; did you mean make?"],
  ])("refuses %j with %j: %s", async (query, body, message) => {
    const app = await start();

    expect(await post(app, body, { query })).toMatchObject({ status: 400, body: `${message}\n` });
  });

  test("slows down a caller that exceeds its rate limit, and does not refuse the table", async () => {
    const app = await start({ env: { RATE_LIMIT_PER_SECOND: "4000", RATE_LIMIT_BURST: "100" } });

    const answer = await post(app, `vin\n${`${TRUCK}\n`.repeat(3_500)}`, { query: "?columns=source" });

    expect(answer.body.match(/,vpic,\n/g)).toHaveLength(3_500);
  });

  test("answers a client that reads only after it has sent everything", async () => {
    const app = await start({ env: { RATE_LIMIT_PER_SECOND: "1000000", RATE_LIMIT_BURST: "1000000" } });
    const { hostname, port } = new URL(`http://${app.httpAddress}`);
    const sent = request({ hostname, port, path: "/decode?columns=source", method: "POST" });
    const answered = once(sent, "response");
    const row = `${TRUCK},${"x".repeat(1_000)}\n`;

    // The table and its answer are larger than the buffers of both sockets.
    sent.write("vin,note\n");
    for (let written = 0; written < 30_000; written += 500) {
      if (!sent.write(row.repeat(500))) {
        await once(sent, "drain");
      }
    }
    sent.end();
    await once(sent, "finish");
    const [response] = await answered;

    expect((await text(response)).match(/,vpic,\n/g)).toHaveLength(30_000);
  });

  test("ends a request that stops arriving", async () => {
    const app = await start({ stallTimeoutMs: 300 });
    const { hostname, port } = new URL(`http://${app.httpAddress}`);
    const socket = connect(Number(port), hostname);
    socket.write(`POST /decode HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 100\r\n\r\nvin\n`);

    expect(await text(socket)).toMatch(/^HTTP\/1\.1 504 /);
  });

  test("lets a table arrive more slowly than other requests may", async () => {
    const app = await start({ limits: { watch: { arrivalTimeoutMs: 50 } } });
    const { hostname, port } = new URL(`http://${app.httpAddress}`);
    const sent = request({ hostname, port, path: "/decode?columns=source", method: "POST" });
    sent.write("vin\n");
    await setTimeout(500);

    sent.end(`${TRUCK}\n`);
    const [response] = await once(sent, "response");

    expect(await text(response)).toBe(`vin,source,error\n${TRUCK},vpic,\n`);
  });
});
