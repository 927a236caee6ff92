import type { DescService } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Json } from "./message-schemas.ts";
import { commentOf, MessageSchemas, ref } from "./message-schemas.ts";
import { PLAIN_PATHS, PLAIN_SCHEMAS } from "./plain-paths.ts";
import { toRpcPaths } from "./rpc-paths.ts";

const CODES = Object.values(Code).flatMap((code) => (typeof code === "number" ? [codeToString(code)] : []));

/** The schemas of errors of RPCs. */
const CONNECT_SCHEMAS: Json = {
  "connect.Error": {
    type: "object",
    required: ["code"],
    properties: {
      code: { enum: CODES },
      message: { type: "string" },
      details: {
        type: "array",
        items: {
          type: "object",
          description: "A message of google.rpc, such as BadRequest, ErrorInfo or RetryInfo.",
          required: ["type", "value"],
          properties: {
            type: { type: "string", description: "The full name of the message." },
            value: { type: "string", description: "The message in Protobuf's binary form.", contentEncoding: "base64" },
          },
        },
      },
    },
  },
  "connect.EndStream": {
    type: "object",
    description: "The end of a stream.",
    properties: {
      error: ref("connect.Error"),
      metadata: { type: "object", additionalProperties: { type: "array", items: { type: "string" } } },
    },
    additionalProperties: false,
  },
};

const ERROR_HEADERS = {
  "retry-after": { description: "When to try again, in seconds.", schema: { type: "integer" } },
  "x-request-id": { description: "Quote this id when you report the error.", schema: { type: "string" } },
};

/** The OpenAPI document of a service's RPCs and the other paths. */
export function toDocument(service: DescService): Json {
  const schemas = new MessageSchemas();
  const rpcPaths = toRpcPaths(service, schemas);
  return {
    openapi: "3.1.1",
    info: {
      title: service.name,
      description: commentOf(service),
      // The version of the contract, not of the service.
      version: service.file.proto.package.split(".").at(-1),
      license: { name: "MIT", identifier: "MIT" },
    },
    // If the operator has configured no tokens, the service answers without one.
    security: [{ token: [] }, {}],
    tags: [
      { name: service.name, description: "The RPCs, over the Connect protocol with JSON." },
      { name: "Tables", description: "Tables of any size over plain HTTP." },
      { name: "vPIC", description: "The paths of NHTSA's vPIC API, for programs that call it today." },
    ],
    paths: { ...rpcPaths, ...PLAIN_PATHS },
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      responses: {
        "connect.Error": {
          description: "An error.",
          headers: ERROR_HEADERS,
          content: { "application/json": { schema: ref("connect.Error") } },
        },
        "text.Error": {
          description: "An error, in one line.",
          headers: ERROR_HEADERS,
          content: { "text/plain": { schema: { type: "string" } } },
        },
      },
      schemas: { ...schemas.all(), ...CONNECT_SCHEMAS, ...PLAIN_SCHEMAS },
    },
  };
}
