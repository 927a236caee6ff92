import type { Json } from "./message-schemas.ts";
import { ref } from "./message-schemas.ts";

const TEXT = { schema: { type: "string" } };
const TEXT_ERROR = { $ref: "#/components/responses/text.Error" };

/** The operation that decodes a table of VINs. */
const decode: Json = {
  tags: ["Tables"],
  operationId: "decode",
  summary: "Decodes a table of VINs.",
  description:
    "The table may have any size and is answered while it arrives, with one row for each row. The answer is NDJSON if " +
    "the table is NDJSON or if Accept names it, otherwise CSV. A table that exceeds the rate limit of its caller is " +
    "slowed down, not refused.",
  parameters: [
    toQuery("column", "The column with the VINs. Without it, the column is found by its name or its content.", "vin"),
    toQuery("year_column", "A column with the model years that you know for certain."),
    toQuery("columns", "The columns to add, separated by commas.", "make,model,EngineCylinders"),
    { ...toQuery("full", "Whether to add all attributes, one column each."), schema: { type: "boolean" } },
  ],
  requestBody: {
    required: true,
    content: {
      "text/csv": toBody("id,vin\n1,1XPWD40X1ED215307\n2,1XKWDB0X57J211825\n"),
      "text/tab-separated-values": toBody("id\tvin\n1\t1XPWD40X1ED215307\n"),
      "application/x-ndjson": toBody('{"id":1,"vin":"1XPWD40X1ED215307"}\n'),
    },
  },
  responses: {
    200: {
      description:
        "The columns of the table, then the added ones. The last one, `error`, says why a row has no vehicle.",
      content: { "text/csv": TEXT, "application/x-ndjson": TEXT },
    },
    default: TEXT_ERROR,
  },
};

const exportParquet: Json = {
  tags: ["Tables"],
  operationId: "exportParquet",
  summary: "Downloads the cache as one Parquet file.",
  description: "The columns are those of the RPC Export. HEAD, range requests and conditional requests also work.",
  responses: {
    200: { description: "The file.", content: { "application/vnd.apache.parquet": {} } },
    206: { description: "The requested part of it.", content: { "application/vnd.apache.parquet": {} } },
    default: TEXT_ERROR,
  },
};

const FORMAT = {
  description: "The format of the answer. There is no XML.",
  schema: { enum: ["json", "csv"] },
};

/** An operation that decodes one VIN and answers as vPIC does. */
function toVpicLookup(operation: string, form: "vpic.Flat" | "vpic.Long", summary: string): Json {
  return {
    tags: ["vPIC"],
    operationId: operation,
    summary,
    description: "The case of paths and of the names of parameters does not matter.",
    parameters: [
      {
        name: "vin",
        in: "path",
        required: true,
        description: "The VIN, or a part of one with `*` for unknown characters.",
        schema: { type: "string" },
        example: "1XPWD40X1ED215307",
      },
      { name: "format", in: "query", required: true, ...FORMAT, example: "json" },
      {
        name: "modelyear",
        in: "query",
        description: "The model year, when you know it for certain.",
        schema: { type: "integer" },
        example: 2014,
      },
    ],
    responses: toVpicResponses(form),
  };
}

const vpicBatch: Json = {
  tags: ["vPIC"],
  operationId: "DecodeVINValuesBatch",
  summary: "Decodes up to 5,000 VINs, as vPIC does.",
  requestBody: {
    required: true,
    content: {
      "application/x-www-form-urlencoded": {
        schema: {
          type: "object",
          required: ["format", "data"],
          properties: {
            format: { description: FORMAT.description, ...FORMAT.schema },
            data: { type: "string", description: "The VINs, each with its model year if known: `VIN,year;VIN;...`" },
          },
        },
        examples: {
          "two VINs": { value: { format: "json", data: "1XPWD40X1ED215307,2014;1XKWDB0X57J211825" } },
        },
      },
    },
  },
  responses: toVpicResponses("vpic.Flat"),
};

/** The paths that are not RPCs. */
export const PLAIN_PATHS: Json = {
  "/decode": { post: decode },
  "/export.parquet": { get: exportParquet },
  "/api/vehicles/DecodeVinValues/{vin}": {
    get: toVpicLookup("DecodeVinValues", "vpic.Flat", "Decodes a VIN to one row, as vPIC does."),
  },
  "/api/vehicles/DecodeVinValuesExtended/{vin}": {
    get: toVpicLookup("DecodeVinValuesExtended", "vpic.Flat", "The same as DecodeVinValues."),
  },
  "/api/vehicles/DecodeVin/{vin}": {
    get: toVpicLookup("DecodeVin", "vpic.Long", "Decodes a VIN to one row for each variable, as vPIC does."),
  },
  "/api/vehicles/DecodeVinExtended/{vin}": {
    get: toVpicLookup("DecodeVinExtended", "vpic.Long", "The same as DecodeVin."),
  },
  "/api/vehicles/DecodeVINValuesBatch/": { post: vpicBatch },
};

/** The schemas of these paths. */
export const PLAIN_SCHEMAS: Json = {
  "vpic.Error": { type: "object", required: ["message"], properties: { message: { type: "string" } } },
  "vpic.Flat": toVpicAnswer({
    type: "object",
    description: "Every variable of vPIC by its name. One without a value is empty.",
    required: ["VIN", "ErrorCode"],
    additionalProperties: { type: "string" },
  }),
  "vpic.Long": toVpicAnswer({
    type: "object",
    required: ["Value", "ValueId", "Variable", "VariableId"],
    properties: {
      Value: { type: ["string", "null"] },
      ValueId: { type: ["string", "null"], description: "Known for make, model and manufacturer only." },
      Variable: { type: "string", description: 'The name of the variable, such as "Engine Number of Cylinders".' },
      VariableId: { type: "integer" },
    },
  }),
};

function toVpicAnswer(row: Json): Json {
  return {
    type: "object",
    required: ["Count", "Message", "SearchCriteria", "Results"],
    properties: {
      Count: { type: "integer", description: "How many rows there are." },
      Message: { type: "string" },
      SearchCriteria: { type: "string" },
      Results: { type: "array", items: row },
    },
  };
}

function toVpicResponses(form: "vpic.Flat" | "vpic.Long"): Json {
  return {
    200: {
      description: "The rows. One of a VIN that cannot be decoded has vPIC's error codes.",
      headers: {
        "x-vehicle-source": { description: "vpic, snapshot or none; several for a batch.", ...TEXT },
        "x-vehicle-cached": { description: "Whether all answers came from the cache.", schema: { type: "boolean" } },
        "x-vehicle-stale": { description: "Whether an answer is out of date.", schema: { type: "boolean" } },
      },
      content: { "application/json": { schema: ref(form) }, "text/csv": TEXT },
    },
    default: {
      description: "An error, in the form of vPIC's. With 503, no source can answer now.",
      content: { "application/json": { schema: ref("vpic.Error") } },
    },
  };
}

function toQuery(name: string, description: string, example?: string): Json {
  return {
    name,
    in: "query",
    description,
    schema: { type: "string" },
    ...(example === undefined ? {} : { example }),
  };
}

function toBody(example: string): Json {
  return { ...TEXT, example };
}
