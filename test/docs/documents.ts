import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A fenced block of a document. */
export interface Block {
  /** Such as `sh`. */
  readonly language: string;
  readonly text: string;
  /** Of its first line, from 1. */
  readonly line: number;
}

/** A Markdown file of the project. */
export interface Document {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  /** Without its blocks. */
  readonly prose: string;
  readonly blocks: readonly Block[];
}

/** Commands that no sample test runs, and why. */
export const NOT_RUN: Readonly<Record<string, string>> = {
  "npm test": ".ci/run runs it",
  "npm run check": "npm test runs it",
  "npm run fix": "it changes files; npm test runs the same tools",
  "npm run generate": "npm test compares its result",
  "npm run bench": "it takes minutes; .ci/run runs it in small sizes",
  "npm run bench -- cache calls": "it takes minutes",
  "npm run bench -- --smoke": ".ci/run runs it",
  "npm run copy -- sqlite:data/vehicles.db postgres://user:password@127.0.0.1:5432/vehicles":
    "it needs the service stopped; test/cache tests what it does",
  "npx vitest run --config test/vitest.config.ts --project ci": ".ci/run runs it",
};

const BLOCK = /^```(\w*)\n(.*?)^```$/gms;

/** The documents in the order in which a newcomer reads them. */
export async function readDocuments(): Promise<Document[]> {
  const pages = (await readdir(`${ROOT}docs`)).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`);
  return await Promise.all(["README.md", ...pages.toSorted(), "SECURITY.md", "CHANGELOG.md"].map(readDocument));
}

/** @param path relative to the root */
export async function readDocument(path: string): Promise<Document> {
  const text = await readFile(ROOT + path, "utf8");
  const blocks = [...text.matchAll(BLOCK)].map(({ 1: language = "", 2: content = "", index }) => ({
    language,
    text: content,
    line: text.slice(0, index).split("\n").length + 1,
  }));
  return { path, text, prose: text.replaceAll(BLOCK, ""), blocks };
}

/** The commands of a block of `sh`: one per line, with its continuation lines and without its comment. */
export function commandsOf({ text }: Block): string[] {
  return text
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) =>
      line
        .replace(/ {2,}#.*/, "")
        .trim()
        .replaceAll(/ {2,}/g, " "),
    )
    .filter((line) => line !== "");
}

/** The program of a command, without the variables before it. */
export function programOf(command: string): string {
  return command.split(" ").find((word) => !/^[A-Z_]+=/.test(word)) ?? "";
}
