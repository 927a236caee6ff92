import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { digestOf } from "../../src/access/token.ts";
import type { FakeVpicOptions } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { type MakeCall, SteadyCalls } from "../support/steady-calls.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TlsOnDisk } from "../support/tls-on-disk.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import { TlsCallers } from "../support/tls-callers.ts";

const [VIN = "", SLOW_VIN = ""] = manyVins(2);
const SOON = { timeout: 250_000, interval: 200 };
const TEST_MS = 300_000;
const NOW = Date.UTC(2026, 10, 22, 12);

let disk: TlsOnDisk;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  disk = await writeTls();
});

afterAll(async () => {
  await disk[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function line(name: string, more = ""): string {
  return `${name} ${digestOf(name)} lookup,remove,export ${more}\n`;
}

interface Setting {
  readonly vpic?: FakeVpicOptions;
  readonly now?: () => number;
}

async function start(tokensFile: string, setting: Setting = {}): Promise<TestApp> {
  return startTestApp({
    env: {
      AUTH_TOKENS_FILE: tokensFile,
      ...disk.env,
      // One of the callers makes a connection for each call.
      CONNECTIONS_PER_ADDRESS: "unlimited",
      VPIC_PATIENCE: "60s",
    },
    ...setting,
  });
}

function callersWith(secret: string, app: TestApp): TlsCallers {
  return new TlsCallers(app, VIN, { ca: disk.ca, secret });
}

/** The outcomes of one call by every caller. */
async function outcomesOf({ lookups }: TlsCallers): Promise<ReadonlySet<string>> {
  return new Set(await Promise.all(Object.values(lookups).map(outcomeOf)));
}

async function outcomeOf(call: MakeCall): Promise<string> {
  try {
    await call();
    return "ok";
  } catch (error) {
    // grpc-js has its own errors, with the same codes.
    const code = error instanceof Error && "code" in error ? Number(error.code) : ConnectError.from(error).code;
    return Code[code] ?? "unknown";
  }
}

const all = (outcome: string): ReadonlySet<string> => new Set([outcome]);

/**
 * Ways to change the file. Each writes the first text, and returns the path and a function that writes the next one.
 */
const WAYS: Readonly<
  Record<string, (folder: string, text: string) => Promise<[string, (text: string) => Promise<void>]>>
> = {
  "by renaming": async (folder, first) => {
    const path = join(folder, "tokens");
    await writeFile(path, first);
    const change = async (text: string): Promise<void> => {
      await writeFile(`${path}.next`, text);
      await rename(`${path}.next`, path);
    };
    return [path, change];
  },
  "by swapping the directory, as secrets are mounted": async (folder, first) => {
    const data = join(folder, "..data");
    const write = async (version: string, text: string): Promise<void> => {
      await mkdir(join(folder, version));
      await writeFile(join(folder, version, "tokens"), text);
      await symlink(version, `${data}.next`);
      await rename(`${data}.next`, data);
    };
    await write("..v1", first);
    await symlink("..data/tokens", join(folder, "tokens"));
    const change = async (text: string): Promise<void> => {
      await write("..v2", text);
      await rm(join(folder, "..v1"), { recursive: true });
    };
    return [join(folder, "tokens"), change];
  },
};

describe("when the tokens file is changed", () => {
  test.concurrent.each(Object.entries(WAYS))(
    "%s, a removed token is refused on open connections too, a new one is accepted, and no other call fails",
    async (name, prepare) => {
      const folder = join(directory.path, name.replaceAll(" ", "-"));
      await mkdir(folder);
      const [path, change] = await prepare(folder, line("kept") + line("removed"));
      await using app = await start(path);
      using kept = callersWith("kept", app);
      using removed = callersWith("removed", app);
      using added = callersWith("added", app);
      await using calls = new SteadyCalls(kept.lookups);
      await calls.more(1);
      const before = [await outcomesOf(removed), await outcomesOf(added)];

      await change(line("kept") + line("added"));
      await vi.waitFor(async () => {
        expect(await outcomesOf(removed)).toEqual(all("Unauthenticated"));
        expect(await outcomesOf(added)).toEqual(all("ok"));
      }, SOON);
      await calls.more(3);

      expect(before).toEqual([all("ok"), all("Unauthenticated")]);
      expect(await calls.stop()).toEqual([]);
    },
    TEST_MS,
  );

  test.concurrent(
    "running calls with a removed token continue to their end",
    async () => {
      const path = join(directory.path, "running");
      await writeFile(path, line("kept") + line("removed"));
      const answered = Promise.withResolvers<undefined>();
      const respondWith: FakeVpicOptions["respondWith"] = ({ vins }) =>
        vins.includes(SLOW_VIN) ? { kind: "answer", until: answered.promise } : undefined;
      await using app = await start(path, { vpic: { respondWith } });
      using removed = callersWith("removed", app);
      using later = callersWith("removed", app);
      const headers = { authorization: "Bearer removed" };
      const running = Object.values(removed.clients).map(async (client) => {
        const answers = await Array.fromAsync(client.batchLookup({ vins: [VIN, SLOW_VIN] }, { headers }));
        return answers.map(({ result }) => result.case);
      });
      await vi.waitFor(() => expect(app.vpic.vins).toContain(SLOW_VIN), SOON);

      await writeFile(path, line("kept"));
      await vi.waitFor(async () => expect(await outcomesOf(later)).toEqual(all("Unauthenticated")), SOON);
      answered.resolve(undefined);

      expect(await Promise.all(running)).toEqual(running.map(() => ["vehicle", "vehicle"]));
    },
    TEST_MS,
  );

  test.concurrent(
    "into something unusable, every token stays valid, and the log has an error",
    async () => {
      const path = join(directory.path, "unusable");
      await writeFile(path, line("kept"));
      await using app = await start(path);
      using kept = callersWith("kept", app);
      await using calls = new SteadyCalls(kept.lookups);
      const errors = () => app.logger.lines.filter(({ level }) => level === "error").map(({ fields }) => fields);

      await writeFile(path, `${line("kept")}a broken line with too many fields\n`);
      await vi.waitFor(() => expect(errors()).toHaveLength(1), SOON);
      await calls.more(3);
      await rm(path);
      await mkdir(path);
      // Between the two steps the path may have been read, too.
      const unreadable = { faults: [expect.stringContaining("cannot be read (EISDIR)")] };
      await vi.waitFor(() => expect(errors().at(-1)).toEqual(unreadable), SOON);
      await calls.more(3);

      expect(errors()[0]).toEqual({ faults: [expect.stringMatching(/^line 2: it has 7 fields/)] });
      expect(errors().at(-1)).toEqual(unreadable);
      expect(await calls.stop()).toEqual([]);
    },
    TEST_MS,
  );

  test.concurrent(
    "into one without tokens, every caller is refused, and the log has a warning",
    async () => {
      const path = join(directory.path, "empty");
      await writeFile(path, line("removed"));
      await using app = await start(path);
      using removed = callersWith("removed", app);

      await writeFile(path, "");
      await vi.waitFor(async () => expect(await outcomesOf(removed)).toEqual(all("Unauthenticated")), SOON);

      expect(app.logger.lines).toContainEqual({
        level: "warn",
        message: "AUTH_TOKENS_FILE has no tokens: every caller is refused",
        fields: {},
      });
    },
    TEST_MS,
  );
});

test.concurrent(
  "a token is refused from the moment it expires, on open connections too, and no other call fails",
  async () => {
    const path = join(directory.path, "expiring");
    await writeFile(path, line("kept") + line("expiring", new Date(NOW + 60_000).toISOString()));
    let now = NOW + 59_999;
    await using app = await start(path, { now: () => now });
    using kept = callersWith("kept", app);
    using expiring = callersWith("expiring", app);
    await using calls = new SteadyCalls(kept.lookups);
    const before = await outcomesOf(expiring);

    now++;
    const after = await outcomesOf(expiring);
    await calls.more(3);

    expect([before, after]).toEqual([all("ok"), all("Unauthenticated")]);
    expect(await calls.stop()).toEqual([]);
  },
  TEST_MS,
);
