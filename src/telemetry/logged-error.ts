import { fileURLToPath } from "node:url";

/** Where the service is installed, as stack frames and messages spell it. */
const ROOT_URL = new URL("../../", import.meta.url).href;
const ROOT_PATH = fileURLToPath(ROOT_URL);

/** How many causes of causes are followed. */
const MAX_DEPTH = 5;

/** What a log line says of an error. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string | number;
  /** Its frames, without the message; files of the service are relative to where it is installed. */
  readonly stack: string;
  readonly cause?: LoggedError | string;
  /** Those that it stands for. */
  readonly errors?: readonly (LoggedError | string)[];
}

/**
 * Makes of an error what may be logged. Whatever else drivers hang on their errors stays out: statements, parameters,
 * rows and addresses are among it.
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

/** Without the message, which the first lines repeat. */
function framesOf({ stack = "" }: Error): string {
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return withoutRoot(frames.join("\n"));
}

function withoutRoot(text: string): string {
  const short = text.replaceAll(ROOT_URL, "");
  return ROOT_PATH === "/" ? short : short.replaceAll(ROOT_PATH, "");
}
