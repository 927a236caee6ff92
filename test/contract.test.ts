import { readFile } from "node:fs/promises";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

test("the descriptor set has every service, and every message that an answer can have inside", async () => {
  const bytes = await readFile(new URL("../gen/vehicle.binpb", import.meta.url));
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));

  const names = [
    "vehicle.v1.VehicleService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "google.rpc.Status",
    "google.rpc.BadRequest",
    "google.rpc.ErrorInfo",
    "google.rpc.RequestInfo",
    "google.rpc.RetryInfo",
    "google.protobuf.Any",
  ];
  expect(names.filter((name) => registry.get(name) === undefined)).toEqual([]);
});
