import { describe } from "vitest";
import { describeClients } from "./clients/describe-clients.ts";
import { PYTHON, python } from "./clients/python.ts";

describe.each([
  ["in clear text", false],
  ["with TLS", true],
])("%s", (_, withTls) => {
  describeClients([python(PYTHON)], { withTls });
});
