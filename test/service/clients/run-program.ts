import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url));

/** The output of a program and its exit code, which is null when it was killed. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

/** How a program can be stopped before its end. */
export interface Stop {
  readonly signal?: AbortSignal | undefined;
  /** What is done when the signal is aborted: it is killed, or a line is written to its standard input. */
  readonly by: "kill" | "line";
}

/** Runs a program in the project's folder to its end. */
export async function runProgram(path: string, args: readonly string[], stop?: Stop): Promise<Outcome> {
  const child = spawn(path, args, { cwd: PROJECT, stdio: "pipe", detached: true });
  // A program that has ended reads no more.
  child.stdin.on("error", () => {});
  stop?.signal?.addEventListener("abort", () => {
    if (stop.by === "kill" && child.pid !== undefined) {
      // Also kills the processes that it started: it leads its own process group.
      process.kill(-child.pid, "SIGKILL");
    } else {
      child.stdin.end("\n");
    }
  });
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { stdout, stderr, exitCode: typeof exitCode === "number" ? exitCode : null };
}
