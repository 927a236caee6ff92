import { fileURLToPath } from "node:url";

/** The URL of the service's directory, as in stack frames and messages. */
const ROOT_URL = new URL("../../", import.meta.url).href;
const ROOT_PATH = fileURLToPath(ROOT_URL);

/** Maximum number of nested causes that are logged. */
const MAX_DEPTH = 5;

/** An error as it appears in a log line. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string | number;
  /** The stack frames without the message. File names are relative to the service's directory. */
  readonly stack: string;
  readonly cause?: LoggedError | string;
  /** The errors of an AggregateError. */
  readonly errors?: readonly (LoggedError | string)[];
}

/**
 * Reduces an error to the properties that are safe to log. In other properties, database drivers put statements,
 * parameters, rows and addresses.
 */
export function toLoggedError(error: unknown, depth = 0): LoggedError | string {
  if (!(error instanceof Error)) {
    return typeof error === "string" ? withoutRoot(error) : `not an error: ${typeof error}`;
  }
  const code = "code" in error ? error.code : undefined;
  const goesOn = depth < MAX_DEPTH;
  return {
    type: error.name,
    message: withoutRoot(error.message),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    stack: framesOf(error),
    ...(error.cause !== undefined && goesOn ? { cause: toLoggedError(error.cause, depth + 1) } : {}),
    ...(error instanceof AggregateError && goesOn
      ? { errors: error.errors.map((each: unknown) => toLoggedError(each, depth + 1)) }
      : {}),
  };
}

/** The stack without its first lines, which repeat the message. */
function framesOf({ stack = "" }: Error): string {
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return withoutRoot(frames.join("\n"));
}

function withoutRoot(text: string): string {
  const short = text.replaceAll(ROOT_URL, "");
  return ROOT_PATH === "/" ? short : short.replaceAll(ROOT_PATH, "");
}
