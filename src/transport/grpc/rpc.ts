// What is served: the rpcs of generated services with their handlers. Owns the types that bind a handler to its rpc, so
// that an rpc without a handler breaks the build.

import type { GrpcCall } from './grpc-call.ts';

/** What handlers know of any call. */
type Known = 'path' | 'peer' | 'metadata' | 'request' | 'timeLeftMs' | 'isCut' | 'onCut' | 'refuse';

export type UnaryCall<Request, Response> = Pick<GrpcCall<Request, Response>, Known | 'answer'>;
export type StreamCall<Request, Response> = Pick<GrpcCall<Request, Response>, Known | 'write' | 'end'>;

/** Answers the one message of the client. */
export type UnaryHandler<Request, Response> = (call: UnaryCall<Request, Response>) => void;

/** Answers the one message of the client with any number of messages. */
export type StreamHandler<Request, Response> = (call: StreamCall<Request, Response>) => void;

/** Answers each message of the client with one message. The next is read when the client has taken the answer. */
export type EachHandler<Request, Response> = (request: Request) => Response;

interface Codecs<Request, Response> {
  readonly path: string;
  requestDeserialize(bytes: Buffer): Request;
  responseSerialize(response: Response): Uint8Array;
}

/** One handler for each rpc of a service that ts-proto generated. */
export type Handlers<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends Codecs<infer Request, infer Response>
    ? HandlerOf<Service[Name], Request, Response>
    : never;
};

type HandlerOf<Method, Request, Response> = Method extends { readonly requestStream: true }
  ? EachHandler<Request, Response>
  : Method extends { readonly responseStream: true }
    ? StreamHandler<Request, Response>
    : UnaryHandler<Request, Response>;

/** An rpc and its handler, whose types fit each other. */
export interface Rpc extends Codecs<unknown, unknown> {
  readonly serves:
    | { readonly kind: 'one'; readonly handle: (call: GrpcCall<unknown, unknown>) => void }
    | { readonly kind: 'each'; readonly handle: EachHandler<unknown, unknown> };
}

interface Method extends Codecs<unknown, unknown> {
  readonly requestStream: boolean;
}

/** @param service as generated, or with other codecs of the same types. */
export function rpcsOf<Service extends object>(service: Service, handlers: Handlers<Service>): Rpc[] {
  return Object.entries(service).map(([name, method]: [string, Method]): Rpc => {
    // The types of Handlers have seen to it that they fit.
    const handle = handlers[name as keyof Service] as never;
    const kind = method.requestStream ? 'each' : 'one';
    return { ...method, serves: { kind, handle } };
  });
}
