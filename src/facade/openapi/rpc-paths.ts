import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Json, MessageSchemas } from "./message-schemas.ts";
import { commentOf, ref } from "./message-schemas.ts";

/** Examples of requests that the service answers without an error, by method. */
const EXAMPLES: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  Lookup: {
    vin: { vin: "1XPWD40X1ED215307" },
    everything: { vin: "1XPWD40X1ED215307", modelYear: 2014, maxAge: "86400s", view: "VIEW_FULL" },
  },
  BatchLookup: {
    vins: { vins: ["1XPWD40X1ED215307", "1XKWDB0X57J211825"] },
    "model years": {
      queries: [{ vin: "1XPWD40X1ED215307", modelYear: 2014 }, { vin: "not a VIN" }],
      view: "VIEW_BASIC",
    },
  },
  Remove: { vin: { vin: "1XPWD40X1ED215307" } },
  Export: { all: {} },
};

const STREAM_TYPE = "application/connect+json";
const STREAM_NOTE =
  "The stream is Connect's. Before each message, in the request too, are 5 bytes: flags, and the length of the message " +
  "as a big-endian number of 32 bits. The last message has the flag 2. It is a `connect.EndStream`, also after an " +
  "error, and the status is 200.";

const TIMEOUT = {
  name: "Connect-Timeout-Ms",
  in: "header",
  description: "The deadline of the call, in milliseconds from its start.",
  schema: { type: "integer", minimum: 1 },
};

/** The paths of a service's methods over Connect with JSON. */
export function toRpcPaths(service: DescService, schemas: MessageSchemas): Json {
  return Object.fromEntries(
    service.methods.map((method) => [`/${service.typeName}/${method.name}`, toPath(method, schemas)]),
  );
}

function toPath(method: DescMethod, schemas: MessageSchemas): Json {
  const { name, methodKind, idempotency } = method;
  const examples = EXAMPLES[name];
  if (examples === undefined) {
    throw new Error(`add an example of a request for ${name}`);
  }
  const isStream = methodKind !== "unary";
  const type = isStream ? STREAM_TYPE : "application/json";
  const request = {
    schema: schemas.refTo(method.input, { isRequest: true }),
    examples: Object.fromEntries(Object.entries(examples).map(([title, value]) => [title, { value }])),
  };
  const answer = schemas.refTo(method.output, { isRequest: false });
  const schema = isStream ? { anyOf: [answer, ref("connect.EndStream")] } : answer;
  const comment = commentOf(method);
  const operation = {
    tags: [method.parent.name],
    summary: /^.*?\.(?=\s|$)/.exec(comment)?.[0] ?? comment,
    description: isStream ? `${comment}\n\n${STREAM_NOTE}` : comment,
    responses: {
      200: { description: commentOf(method.output), content: { [type]: { schema } } },
      default: { $ref: "#/components/responses/connect.Error" },
    },
  };
  const post = {
    ...operation,
    operationId: name,
    parameters: [TIMEOUT],
    requestBody: { required: true, content: { [type]: request } },
  };
  if (isStream || idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
    return { post };
  }
  const encoding = { name: "encoding", in: "query", required: true, schema: { enum: ["json"] }, example: "json" };
  const message = { name: "message", in: "query", required: true, content: { [type]: request } };
  return { get: { ...operation, operationId: `${name}ByGet`, parameters: [encoding, message, TIMEOUT] }, post };
}
