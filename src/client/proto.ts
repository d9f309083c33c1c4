// The contract, `leasehold/proto`: the generated messages and clients for users of grpc-js, and the paths of the .proto
// files for users who load or compile those themselves.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// As a namespace, because its messages have the same names as Leasehold's own.
export * as longrunning from '../../generated/google/longrunning/operations.ts';
export * from '../../generated/google/protobuf/any.ts';
export * from '../../generated/google/protobuf/duration.ts';
export * from '../../generated/google/protobuf/timestamp.ts';
export * from '../../generated/google/rpc/error_details.ts';
export * from '../../generated/google/rpc/status.ts';
export * from '../../generated/leasehold/v1/error_details.ts';
export * from '../../generated/leasehold/v1/lease.ts';
export * from '../../generated/leasehold/v1/lease_events.ts';
export * from '../../generated/leasehold/v1/lock.ts';
export * from '../../generated/leasehold/v1/lock_contention.ts';
export * from '../../generated/leasehold/v1/lock_service.ts';
export * from '../../generated/leasehold/v1/operation.ts';
export * from '../../generated/leasehold/v1/operation_store_service.ts';
export * from '../../generated/leasehold/v1/server_info.ts';
export * from '../../generated/leasehold/v1/watch_events.ts';

/** What protoc, buf and @grpc/proto-loader need. */
export interface ProtoFiles {
  /** Paths below one of the include directories. */
  readonly files: readonly string[];
  /** Absolute paths, below which imports are found. */
  readonly includeDirs: readonly string[];
}

/** Relative to src/client and to dist/src/client. */
const FOLDERS = ['../../proto/', '../../../proto/'];

/**
 * Finds the .proto files of this package, in the form that `loadSync(files, { includeDirs })` of proto-loader takes.
 */
export function protoFiles(): ProtoFiles {
  // By its URL: that is all that Jest 29 tells a module of itself.
  const folder = FOLDERS.map((path) => fileURLToPath(new URL(path, import.meta.url))).find((path) =>
    existsSync(path),
  );
  if (folder === undefined) throw new Error('the proto/ folder of this package is missing: install it again');
  return {
    files: ['leasehold/v1/lock_service.proto', 'leasehold/v1/operation_store_service.proto'],
    // In this order, because protoc takes the first folder that a path is below.
    includeDirs: [`${folder}third_party`, folder.slice(0, -1)],
  };
}
