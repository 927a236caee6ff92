import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyCache } from "../../src/cache/copy-cache.ts";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";

const TEXT = "'; -- \\ \u{1F69A} línea\n? $1";

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let databases = 0;

beforeEach(async () => {
  directory = await temporaryDirectory();
});

afterEach(() => directory[Symbol.asyncDispose]());

async function newUrl(kind: string): Promise<string> {
  const name = `copied_${databases++}`;
  return kind === "sqlite" ? `sqlite:${join(directory.path, name)}` : createSharedDatabase(name);
}

function open(databaseUrl: string) {
  return openVehicleStore({ databaseUrl, logger: silentLogger, now: () => NOON, readTimeoutMs: 10_000 });
}

/** A cache with 1,200 vehicles, a hint, odd texts and a removal. */
async function fill(databaseUrl: string): Promise<void> {
  await using vehicles = await open(databaseUrl);
  const [first, second, ...others] = someVins(1_201);
  if (first !== undefined && second !== undefined) {
    await store(
      vehicles,
      { vin: first, modelYear: 1999 },
      decodeOf(first, { model: TEXT, attributes: { [TEXT]: TEXT } }),
    );
    await store(vehicles, { vin: first }, decodeOf(first, { source: "snapshot", dataDate: "2026-02-17" }));
    await vehicles.remove(second);
  }
  await Promise.all(others.map((vin) => store(vehicles, { vin }, decodeOf(vin))));
}

function copy(from: string, to: string, options: Partial<Parameters<typeof copyCache>[0]> = {}) {
  const { signal } = new AbortController();
  return copyCache({ from, to, logger: silentLogger, signal, onProgress: () => undefined, ...options });
}

describe("a copy of a cache", () => {
  test.each([
    ["sqlite", "postgres"],
    ["postgres", "sqlite"],
  ])("from %s to %s has every vehicle and removal, also after two interruptions", async (fromKind, toKind) => {
    const [from, to] = [await newUrl(fromKind), await newUrl(toKind)];
    await fill(from);
    for (const rows of [500, 1_000]) {
      const interrupted = new AbortController();
      const onProgress = (done: number): void => void (done >= rows && interrupted.abort(new Error("killed")));
      await expect(copy(from, to, { signal: interrupted.signal, onProgress })).rejects.toThrow("killed");
    }

    const result = await copy(from, to);

    expect(result).toMatchObject({ vehicles: 1_201, removals: 2 });
    await using source = await open(from);
    await using target = await open(to);
    const queries = someVins(1_201).flatMap((vin) => [{ vin }, { vin, modelYear: 1999 }]);
    expect(await target.findMany(queries, "full")).toEqual(await source.findMany(queries, "full"));
    const [, removed] = someVins(2);
    expect(removed && (await target.removalsOf(removed))).toBe(removed && (await source.removalsOf(removed)));
  });

  test("is refused when the target is newer", async () => {
    const [from, to] = [await newUrl("sqlite"), await newUrl("sqlite")];
    await fill(from);
    {
      await using target = await open(to);
      const [vin] = someVins(1);
      await (vin && store(target, { vin }, decodeOf(vin, { decodedAt: NOON + 1 })));
    }

    await expect(copy(from, to)).rejects.toThrow("TO has entries that are newer");
  });

  test("is refused when a newer version created the target", async () => {
    const [from, to] = [await newUrl("sqlite"), await newUrl("sqlite")];
    await fill(from);
    {
      await using target = await open(to);
      const sqlite = "insert into mikro_orm_migrations (name) values ('of-the-future')";
      await target.coordinate({ sqlite, postgres: sqlite }, []);
    }

    await expect(copy(from, to)).rejects.toThrow("newer version of the service");
  });

  test("is refused when the target has more than the source", async () => {
    const [from, to] = [await newUrl("sqlite"), await newUrl("sqlite")];
    await fill(from);
    {
      await using target = await open(to);
      const vin = someVins(2_000).at(-1);
      await (vin && store(target, { vin }, decodeOf(vin)));
    }

    await expect(copy(from, to)).rejects.toThrow(/not exact: FROM has 1201 vehicles .* TO has 1202 vehicles/);
  });

  test("is refused when the source does not exist", async () => {
    await expect(copy(await newUrl("sqlite"), await newUrl("sqlite"))).rejects.toThrow("FROM does not exist");
  });
});
