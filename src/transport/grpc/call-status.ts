// The status of a call, and how it is written: as trailers, with a message that has only printable characters of ASCII.

import type { OutgoingHttpHeaders } from 'node:http2';
import type { status } from '@grpc/grpc-js';

export interface CallStatus {
  readonly code: status;
  readonly message: string;
  /** A serialized google.rpc.Status. */
  readonly details?: Buffer;
}

export function trailersOf({ code, message, details }: CallStatus): OutgoingHttpHeaders {
  return {
    'grpc-status': String(code),
    'grpc-message': percentEncoded(message),
    ...(details ? { 'grpc-status-details-bin': details.toString('base64') } : {}),
  };
}

const PRINTABLE = /^[\x20-\x24\x26-\x7e]*$/;

function percentEncoded(text: string): string {
  if (PRINTABLE.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
