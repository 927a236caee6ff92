import { createRegistry } from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";

/** The types that details of errors have. Without them, an answer of a batch with an error in it cannot be JSON. */
export const DETAIL_TYPES = createRegistry(file_google_rpc_error_details);
