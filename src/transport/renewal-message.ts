// The one message that an instance with many streams sends all the time, written by hand: `renewed`, of Hold and of
// KeepAlive. The generated encoder takes five times as long for it, most of it for buffers that live for a moment. The
// bytes are the same (test/unit/renewal-message.test.ts).

import { LIMITS } from '../domain/limits.ts';
import type { GrantedLease } from '../service/lock-service.ts';
import { encodeDuration, encodeTimestamp } from './durations.ts';

/** `renewed` in each message, as a field that has a length. */
const RENEWED = { Hold: (5 << 3) | 2, KeepAlive: (3 << 3) | 2 } as const;
const UUID_BYTES = 36;
/** Room for the texts, and for the numbers, their tags and lengths. */
const scratch = Buffer.alloc(LIMITS.resourceBytes + UUID_BYTES + 128);

export function encodeRenewal(of: keyof typeof RENEWED, { lease, validForMs }: GrantedLease): Buffer {
  // resource = 1, lease_id = 2: the message begins with them, and so does the lease in it.
  let names = writeText((1 << 3) | 2, lease.resource, 0);
  names = writeText((2 << 3) | 2, lease.leaseId, names);
  let end = writeVarint(lease.fencingToken, writeByte((3 << 3) | 0, names));
  end = writeSpan((4 << 3) | 2, encodeDuration(validForMs), end);
  end = writeSpan((5 << 3) | 2, encodeTimestamp(lease.expiresAtWallMs), end);
  end = writeDurability((6 << 3) | 2, lease.replicas ?? 0, end);

  const message = Buffer.allocUnsafe(names + 1 + (end < 0x80 ? 1 : 2) + end);
  scratch.copy(message, 0, 0, names);
  message[names] = RENEWED[of];
  scratch.copy(message, writeVarint(end, names + 1, message), 0, end);
  return message;
}

function writeByte(byte: number, at: number): number {
  scratch[at] = byte;
  return at + 1;
}

function writeVarint(value: number | bigint, at: number, into = scratch): number {
  // Past 31 bits there are no operators for bits, and past 53 there is no number.
  if (typeof value === 'bigint' && value > Number.MAX_SAFE_INTEGER) {
    into[at] = Number(value & 0x7fn) | 0x80;
    return writeVarint(value >> 7n, at + 1, into);
  }
  let end = at;
  let left = Number(value);
  for (; left > 0x7f; left = Math.floor(left / 0x80)) into[end++] = (left % 0x80) | 0x80;
  into[end] = left;
  return end + 1;
}

function writeText(tag: number, text: string, at: number): number {
  const bytes = Buffer.byteLength(text);
  const from = writeVarint(bytes, writeByte(tag, at));
  return from + scratch.write(text, from);
}

/** A Duration or a Timestamp: seconds = 1, nanos = 2, and no field for 0. */
function writeSpan(tag: number, { seconds, nanos }: { seconds: bigint; nanos: number }, at: number): number {
  const from = writeByte(tag, at) + 1;
  let end = seconds === 0n ? from : writeVarint(seconds, writeByte((1 << 3) | 0, from));
  end = nanos === 0 ? end : writeVarint(nanos, writeByte((2 << 3) | 0, end));
  scratch[from - 1] = end - from;
  return end;
}

/** asynchronous = 1, which is empty, or replicated = 2 with min_acks = 1. */
function writeDurability(tag: number, replicas: number, at: number): number {
  const from = writeByte(tag, at) + 1;
  let end = writeByte(((replicas === 0 ? 1 : 2) << 3) | 2, from) + 1;
  const inner = end;
  if (replicas > 0) end = writeVarint(replicas, writeByte((1 << 3) | 0, end));
  scratch[inner - 1] = end - inner;
  scratch[from - 1] = end - from;
  return end;
}
