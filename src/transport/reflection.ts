// Server reflection, so that grpcurl and the like need no .proto files: grpc.reflection.v1, and v1alpha for older
// tools, whose messages are the same on the wire. What the files contain is in descriptors.ts.

import { status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from '../../generated/grpc/reflection/v1/reflection.ts';
import { Descriptors } from './descriptors.ts';
import { type Rpc, rpcsOf } from './grpc/rpc.ts';

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

const PATHS = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** Reads the descriptors of this build and serves them. */
export function reflectionRpcs(): Rpc[] {
  const descriptors = Descriptors.ofThisBuild();
  const { serverReflectionInfo } = ServerReflectionService;
  return PATHS.flatMap((path) =>
    rpcsOf(
      { serverReflectionInfo: { ...serverReflectionInfo, path } },
      { serverReflectionInfo: (request) => response(descriptors, request) },
    ),
  );
}

function response(descriptors: Descriptors, request: ServerReflectionRequest): ServerReflectionResponse {
  const { host, messageRequest } = request;
  return {
    validHost: host,
    originalRequest: request,
    messageResponse: answer(descriptors, messageRequest),
  };
}

function answer(descriptors: Descriptors, question: ServerReflectionRequest['messageRequest']): Answer {
  switch (question?.$case) {
    case 'listServices': {
      const service = descriptors.services.map((name) => ({ name }));
      return { $case: 'listServicesResponse', value: { service } };
    }
    case 'fileByFilename':
      return files(descriptors.file(question.value), `file ${question.value}`);
    case 'fileContainingSymbol':
      return files(descriptors.fileOf(question.value), `file that declares ${question.value}`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      return files(
        descriptors.fileOfExtension(containingType, extensionNumber),
        `extension ${extensionNumber} of ${containingType}`,
      );
    }
    case 'allExtensionNumbersOfType': {
      const baseTypeName = question.value;
      const extensionNumber = descriptors.extensionNumbers(baseTypeName);
      if (extensionNumber === undefined) return notFound(`message ${baseTypeName}`);
      const value = { baseTypeName, extensionNumber: [...extensionNumber] };
      return { $case: 'allExtensionNumbersResponse', value };
    }
    case undefined:
      return failure(status.INVALID_ARGUMENT, 'the request asks nothing that this server knows');
  }
}

function files(found: readonly Uint8Array[] | undefined, what: string): Answer {
  if (found === undefined) return notFound(what);
  const fileDescriptorProto = found.map((bytes) => Buffer.from(bytes));
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

const notFound = (what: string): Answer => failure(status.NOT_FOUND, `there is no ${what}`);

function failure(errorCode: number, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
