// Server reflection, so that grpcurl and the like need no .proto files. It serves those in the package's own proto
// folder.

import { join } from 'node:path';
import { load } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

const PROTO_FILES = [
  'leasehold/v1/lock_service.proto',
  'leasehold/v1/operation_store_service.proto',
  'google/longrunning/operations.proto',
];
// The services don't import these. Their messages travel packed in error details, and tools want to print them.
const DETAIL_FILES = ['leasehold/v1/error_details.proto', 'google/rpc/error_details.proto'];

/** `folder` is the package's `proto`. */
export async function loadReflection(folder: string): Promise<ReflectionService> {
  const definition = await load([...PROTO_FILES, ...DETAIL_FILES], {
    includeDirs: [folder, join(folder, 'third_party')],
  });
  return new ReflectionService(definition);
}
