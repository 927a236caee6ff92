import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createServiceImplSpec } from "@connectrpc/connect";
import { Server } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";

import { mountService } from "../../src/server/grpc/mount.ts";
import { IncompleteRequests } from "../../src/server/limits/incomplete-requests.ts";
import { rpcHandlers } from "../../src/server/http/rpc.ts";
import { MemoryLogger } from "../support/memory-logger.ts";

/** A service with one method whose client streams. */
function uploadService(serverStreaming: boolean): DescService {
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, {
      file: [
        {
          name: "upload.proto",
          package: "test",
          syntax: "proto3",
          messageType: [{ name: "Part" }],
          service: [
            {
              name: "UploadService",
              method: [
                {
                  name: "Upload",
                  inputType: ".test.Part",
                  outputType: ".test.Part",
                  clientStreaming: true,
                  serverStreaming,
                },
              ],
            },
          ],
        },
      ],
    }),
  );
  const service = registry.getService("test.UploadService");
  if (service === undefined) {
    throw new Error("the service is not in its registry");
  }
  return service;
}

describe.each([false, true])("a method whose client streams (and whose server does: %s)", (serverStreaming) => {
  const spec = createServiceImplSpec(uploadService(serverStreaming), {});
  const options = { interceptors: [], logger: new MemoryLogger() };

  test("is refused by the gRPC mount, by name", () => {
    const server = new Server();

    expect(() => {
      mountService(server, spec, options);
    }).toThrow("test.UploadService/Upload: methods whose client streams cannot be mounted");
  });

  test("is refused by the HTTP listener, by name", () => {
    expect(() => rpcHandlers([spec], new IncompleteRequests(), options)).toThrow(
      "test.UploadService/Upload: methods whose client streams",
    );
  });
});
