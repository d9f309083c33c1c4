// The contract, `leasehold/proto`: the generated messages and clients for users of grpc-js, and where the .proto files
// lie for those who load or compile them themselves.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

// A namespace: its messages have the names of Leasehold's own.
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
export * from '../../generated/leasehold/v1/lock_service.ts';
export * from '../../generated/leasehold/v1/operation.ts';
export * from '../../generated/leasehold/v1/operation_store_service.ts';
export * from '../../generated/leasehold/v1/server_info.ts';
export * from '../../generated/leasehold/v1/watch_events.ts';

/** What protoc, buf and @grpc/proto-loader need to know. */
export interface ProtoFiles {
  /** Paths below the first include directory. */
  readonly files: readonly string[];
  /** Absolute: where imports are found. */
  readonly includeDirs: readonly string[];
}

/** Seen from src/client and from dist/src/client. */
const FOLDERS = ['../../proto', '../../../proto'];

/** The .proto files of this package: `loadSync(files, { includeDirs })` of @grpc/proto-loader takes them as they are. */
export function protoFiles(): ProtoFiles {
  const folder = FOLDERS.map((path) => join(import.meta.dirname, path)).find((path) => existsSync(path));
  if (folder === undefined) throw new Error('the proto/ folder of this package is missing: install it again');
  return {
    files: ['leasehold/v1/lock_service.proto', 'leasehold/v1/operation_store_service.proto'],
    includeDirs: [folder, join(folder, 'third_party')],
  };
}
