import { readDeployFile } from "./deploy-files.ts";

/** One instruction of the Dockerfile. */
export interface Instruction {
  /** Such as `COPY`. */
  readonly keyword: string;
  readonly rest: string;
}

/** The instructions of the Dockerfile in their order, without comments. */
export function readInstructions(): Instruction[] {
  return readDeployFile("Dockerfile")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [keyword = "", ...rest] = line.split(" ");
      return { keyword, rest: rest.join(" ") };
    });
}
