// Calls that bypass the generated client: bytes as they are, and an error with everything that came with it. They are
// for tests of what is really on the wire; the ordinary client for tests is test-instance.ts.
import { type Client, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, QuotaFailure, RetryInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { Contention } from '../../generated/leasehold/v1/error_details.ts';

const DEADLINE_MS = 15_000;

const CODECS = {
  'google.rpc.ErrorInfo': ErrorInfo,
  'google.rpc.BadRequest': BadRequest,
  'google.rpc.RetryInfo': RetryInfo,
  'google.rpc.QuotaFailure': QuotaFailure,
  'leasehold.v1.Contention': Contention,
} as const;

type Details = {
  readonly [Name in keyof typeof CODECS]?: ReturnType<(typeof CODECS)[Name]['decode']>;
};

/** An error as it came: the code's name, the message, and the decoded details by their type's name. */
export interface RawError {
  readonly code: string;
  readonly message: string;
  readonly details: Details;
  /** The message, the status in the trailer and all trailers as one text, to search for what must not be shown. */
  readonly everything: string;
  /** How many bytes the message and the status take up in the trailers. */
  readonly trailerBytes: number;
}

export function readError(error: ServiceError): RawError {
  const [trailer] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const inner = trailer instanceof Buffer ? Status.decode(trailer) : undefined;
  if (inner && (inner.code !== error.code || inner.message !== error.details)) {
    throw new Error(`the status in the trailer (${inner.code}, ${inner.message}) is not the call's`);
  }
  const details = Object.fromEntries(
    (inner?.details ?? []).map(({ typeUrl, value }) => {
      const name = typeUrl.replace('type.googleapis.com/', '');
      if (!(name in CODECS)) throw new Error(`an unknown detail ${typeUrl}`);
      return [name, CODECS[name as keyof typeof CODECS].decode(value)]; // a key, as was checked
    }),
  );
  const bytes = trailer instanceof Buffer ? trailer : Buffer.alloc(0);
  const rest = JSON.stringify(error.metadata?.getMap());
  return {
    code: status[error.code] ?? String(error.code),
    message: error.details,
    details,
    everything: `${error.details}\n${bytes.toString('latin1')}\n${rest}`,
    trailerBytes: encodeURI(error.details).length + bytes.toString('base64').length,
  };
}

/**
 * Sends `bytes` as the one request message of a unary rpc; resolves with the bytes of the response, or with the error.
 */
export function rawCall(
  client: Client,
  path: string,
  bytes: Uint8Array,
  timeoutMs = DEADLINE_MS,
): Promise<Buffer | RawError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      (message: Buffer) => message,
      (message: Buffer) => message,
      Buffer.from(bytes),
      { deadline: Date.now() + timeoutMs },
      (error, response) => resolve(error ? readError(error) : (response ?? Buffer.alloc(0))),
    );
  });
}

/** The error of a unary rpc; a success is a failure of the test. */
export async function rawError(
  client: Client,
  path: string,
  bytes: Uint8Array,
  timeoutMs?: number,
): Promise<RawError> {
  const outcome = await rawCall(client, path, bytes, timeoutMs);
  if (Buffer.isBuffer(outcome)) throw new Error(`${path} succeeded`);
  return outcome;
}

/** The error that a server stream ends with; a message or an end without one is a failure of the test. */
export function rawStreamError(client: Client, path: string, bytes: Uint8Array): Promise<RawError> {
  return new Promise((resolve, reject) => {
    const stream = client.makeServerStreamRequest(
      path,
      (message: Buffer) => message,
      (message: Buffer) => message,
      Buffer.from(bytes),
      { deadline: Date.now() + DEADLINE_MS },
    );
    stream.on('error', (error: Error) => resolve(readError(error as ServiceError))); // grpc-js emits no other
    stream.on('data', () => reject(new Error(`${path} sent a message`)));
    stream.on('end', () => reject(new Error(`${path} ended without an error`)));
  });
}
