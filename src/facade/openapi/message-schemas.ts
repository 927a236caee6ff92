import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";

/** A JSON Schema, or another part of an OpenAPI document. */
export type Json = { readonly [name: string]: unknown };

/** Messages whose JSON form is special. */
const WELL_KNOWN: Readonly<Record<string, Json>> = {
  "google.protobuf.Any": { type: "object", properties: { "@type": { type: "string" } }, required: ["@type"] },
  "google.protobuf.Duration": { type: "string", pattern: String.raw`^-?\d+(\.\d{1,9})?s$` },
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
};

const SCALARS: Readonly<Partial<Record<ScalarType, Json>>> = {
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
  [ScalarType.INT32]: { type: "integer", format: "int32" },
  [ScalarType.UINT32]: { type: "integer", format: "uint32", minimum: 0 },
  [ScalarType.INT64]: { type: "string", format: "int64", pattern: String.raw`^-?\d+$` },
};

/** Collects the schemas of messages, and of all messages and enums that their JSON can contain, by full name. */
export class MessageSchemas {
  readonly #schemas = new Map<string, Json>();

  /**
   * The schemas so far, sorted by name.
   *
   * Schemas of requests do not allow unknown fields, because the service rejects them. Schemas of answers do, because
   * later versions may add fields.
   */
  all(): Json {
    return Object.fromEntries([...this.#schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A reference to the schema of a message. Adds the schema of the message and those of its fields. */
  refTo(message: DescMessage, { isRequest }: { readonly isRequest: boolean }): Json {
    if (!this.#schemas.has(message.typeName)) {
      // Added before its fields, because a message may contain itself.
      this.#schemas.set(message.typeName, {});
      this.#schemas.set(message.typeName, {
        type: "object",
        description: describe(message),
        properties: Object.fromEntries(
          message.fields.map((field) => [
            field.jsonName,
            { ...this.#schemaOf(field, isRequest), description: commentOf(field) },
          ]),
        ),
        ...(isRequest ? { additionalProperties: false } : {}),
      });
    }
    return ref(message.typeName);
  }

  #schemaOf(field: DescField, isRequest: boolean): Json {
    const schema = this.#schemaOfType(field, isRequest);
    if (field.fieldKind === "list") {
      return { type: "array", items: schema };
    }
    return field.fieldKind === "map" ? { type: "object", additionalProperties: schema } : schema;
  }

  /** The schema of a value, or of each value of a list or map. */
  #schemaOfType(field: DescField, isRequest: boolean): Json {
    if (field.message !== undefined) {
      return WELL_KNOWN[field.message.typeName] ?? this.refTo(field.message, { isRequest });
    }
    return field.enum === undefined ? toScalarSchema(field.scalar) : this.#refToEnum(field.enum);
  }

  #refToEnum(enumeration: DescEnum): Json {
    const { typeName, values } = enumeration;
    const meanings = values.map((value) => `- \`${value.name}\`: ${commentOf(value)}`);
    this.#schemas.set(typeName, {
      type: "string",
      description: `${commentOf(enumeration)}\n\n${meanings.join("\n")}`,
      enum: values.map(({ name }) => name),
    });
    return ref(typeName);
  }
}

function describe(message: DescMessage): string {
  const choices = message.oneofs.map((oneof) => {
    const names = oneof.fields.map(({ jsonName }) => `\`${jsonName}\``);
    return `Either ${names.join(" or ")}: ${commentOf(oneof)}`;
  });
  return [commentOf(message), ...choices].join("\n\n");
}

/** A reference to a schema of the document. */
export function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

/** The comment of a descriptor, with one line for each paragraph. */
export function commentOf(described: Parameters<typeof getComments>[0]): string {
  const { leading = "" } = getComments(described);
  return leading
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replaceAll(/\s*\n\s*/g, " ").trim())
    .join("\n\n");
}

function toScalarSchema(type: ScalarType): Json {
  const schema = SCALARS[type];
  if (schema === undefined) {
    throw new Error(`add the JSON form of ${ScalarType[type]}`);
  }
  return schema;
}
