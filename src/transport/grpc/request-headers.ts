// What must hold of a request before anything of it is read: by HTTP, and then by gRPC. Owns the answers to requests
// that break these rules.

import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { trailersOf } from './call-status.ts';
import { timeoutMs } from './call-timeout.ts';
import { RESPONSE_HEADERS } from './grpc-call.ts';
import { ENCODINGS } from './message-frames.ts';
import type { Rpc } from './rpc.ts';

const CONTENT_TYPE = /^application\/grpc(\+proto)?( *;|$)/i;
const ACCEPTED = { 'grpc-accept-encoding': [...ENCODINGS.keys()].join(',') };
const INSTEAD_OF_POST: OutgoingHttpHeaders = { ':status': 405, allow: 'POST' };
const OF_ANOTHER_TYPE: OutgoingHttpHeaders = { ':status': 415, 'accept-post': 'application/grpc' };

/** A request that can be read. */
export interface Admitted {
  readonly rpc: Rpc;
  /** Infinity for no deadline. */
  readonly timeoutMs: number;
  /** A key of ENCODINGS. */
  readonly encoding: string;
}

/** Returns the headers of the answer, after which nothing follows, to a request that is to be refused. */
export function admitted(
  headers: IncomingHttpHeaders,
  rpcs: ReadonlyMap<string, Rpc>,
): Admitted | { readonly refusal: OutgoingHttpHeaders } {
  if (headers[':method'] !== 'POST') return { refusal: INSTEAD_OF_POST };
  if (!CONTENT_TYPE.test(headers['content-type'] ?? '')) return { refusal: OF_ANOTHER_TYPE };
  const rpc = rpcs.get(headers[':path'] ?? '');
  if (!rpc) return refused(status.UNIMPLEMENTED, 'this server has no such method');
  const sent = String(headers['grpc-encoding'] ?? 'identity');
  if (!ENCODINGS.has(sent)) return refused(status.UNIMPLEMENTED, `unknown grpc-encoding: ${sent}`, ACCEPTED);
  const untilDeadlineMs = timeoutMs(headers['grpc-timeout']);
  if (untilDeadlineMs === undefined) return refused(status.INTERNAL, 'grpc-timeout cannot be read');
  return { rpc, timeoutMs: untilDeadlineMs, encoding: sent };
}

function refused(code: status, message: string, more: OutgoingHttpHeaders = {}) {
  return { refusal: { ...RESPONSE_HEADERS, ...more, ...trailersOf({ code, message }) } };
}
