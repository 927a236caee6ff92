import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, cp, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT } from "../docs/documents.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { readInstructions } from "./dockerfile.ts";

const run = promisify(execFile);
/** The image's user. Only root can become another user; anybody else is unprivileged already. */
const USER = process.getuid?.() === 0 ? { uid: 1_000, gid: 1_000 } : {};

test(
  "what the Dockerfile builds starts as an unprivileged user who can write only its data",
  { timeout: 600_000 },
  async () => {
    await using directory = await temporaryDirectory();
    const root = join(directory.path, "app");
    const data = join(directory.path, "data");
    await Promise.all([mkdir(root), mkdir(data)]);
    await chmod(directory.path, 0o755);
    if (USER.uid !== undefined) {
      await chown(data, USER.uid, USER.gid);
    }
    const env = {
      PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`,
      HOME: data,
      VEHICLE_DATA_DIR: data,
      VEHICLE_GRPC_PORT: "0",
      VEHICLE_HTTP_PORT: String(await freePort()),
    };
    for (const { keyword, rest } of readInstructions()) {
      const words = rest.split(" ");
      if (keyword === "COPY" && !rest.startsWith("--from")) {
        for (const source of words.slice(0, -1)) {
          await cp(ROOT + source, join(root, source), { recursive: true });
        }
      } else if (keyword === "RUN" && rest.startsWith("npm")) {
        await run("sh", ["-c", rest], { cwd: root, env: { ...process.env, ...env } });
      }
    }
    await run("chmod", ["-R", "a-w,a+rX", root]);
    const wordsOf = (keyword: string): string[] => {
      const rest = readInstructions().findLast((each) => each.keyword === keyword)?.rest ?? "[]";
      const words: string[] = JSON.parse(rest.slice(rest.indexOf("[")));
      return words;
    };

    const [program = "", ...args] = wordsOf("CMD");
    const service = spawn(program, args, { cwd: root, env, ...USER, stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(service, "exit");
    const checkHealth = async (): Promise<string> => {
      const [check = "", ...checkArgs] = wordsOf("HEALTHCHECK");
      return (await run(check, checkArgs, { cwd: root, env, ...USER }).catch(() => ({ stdout: "" }))).stdout;
    };
    await expect.poll(checkHealth, { timeout: 300_000, interval: 500 }).toMatch(/^ready/);
    service.kill("SIGTERM");

    expect(await exited).toEqual([0, null]);
  },
);
