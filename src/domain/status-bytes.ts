// The statuses that stores themselves write as the outcome of an operation: encoded google.rpc.Status messages, since
// outcomes are opaque to stores.

const ABORTED = 10;
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const VARINT_MORE = 0x80;

/** The outcome of an operation whose attempts all went stale. */
export const ATTEMPTS_USED_UP = statusBytes(ABORTED, 'all of its attempts were lost');
/** The outcome of an operation that nobody finished in time. */
export const TIME_TO_LIVE_OVER = statusBytes(DEADLINE_EXCEEDED, 'its time to live is over');

/** The outcome of an operation that was cancelled before a worker ran it. Without a reason, it says so. */
export function cancelledStatus(reason: string): Uint8Array {
  return statusBytes(CANCELLED, reason || 'it was cancelled, and no reason was given');
}

/** google.rpc.Status: `code` is field 1, a varint below 128; `message` is field 2, a text. */
export function statusBytes(code: number, message: string): Uint8Array {
  const text = Buffer.from(message);
  const field = text.length === 0 ? [] : [0x12, ...varint(text.length), ...text];
  return Uint8Array.from([0x08, code, ...field]);
}

function varint(value: number): number[] {
  return value < VARINT_MORE ? [value] : [(value % VARINT_MORE) + VARINT_MORE, ...varint(value >> 7)];
}
