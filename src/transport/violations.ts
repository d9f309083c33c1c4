// Checks of what callers send, by the rules of the domain. Each check notes a violation under the field's name in the
// proto and goes on, so that a caller learns of all violations at once. `refuse` throws if there is one.

import { CoordinationError, type FieldViolation } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import type { Mode } from '../domain/lock.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';
const OPERATION_TYPE = /^[A-Za-z0-9._/-]+$/;
const METADATA_KEY = /^[a-z0-9._-]+$/;
const CONTROL = /\p{Cc}/u;
// A decoder puts this in the place of bytes that are not UTF-8: two different byte strings would become one name.
const REPLACEMENT = '\ufffd';

/** A time span as it was sent: undefined when unset, NaN when it is no valid google.protobuf.Duration. */
export type SentDuration = number | undefined;

const BAD_KEY = `must have 1 to ${LIMITS.metadataKeyChars} characters from [a-z0-9._-]`;

export interface CountBounds {
  readonly min: number;
  readonly max: number;
  readonly unset: number;
}

export class Violations {
  readonly #found: FieldViolation[] = [];

  note(field: string, description: string): void {
    this.#found.push({ field, description });
  }

  /** Throws INVALID_ARGUMENT that names every violated field, if there is one. */
  refuse(): void {
    if (this.#found.length === 0) return;
    const message = this.#found.map((v) => `${v.field}: ${v.description}`).join('; ');
    throw new CoordinationError('INVALID_ARGUMENT', message, { violations: this.#found });
  }

  resource(field: string, value: string): string {
    const bytes = Buffer.byteLength(value);
    if (bytes === 0 || bytes > LIMITS.resourceBytes) {
      this.note(field, `must have 1 to ${LIMITS.resourceBytes} bytes of UTF-8, has ${bytes}`);
    } else {
      this.#text(field, value);
    }
    return value;
  }

  /** A prefix of resource names; '' for all names. */
  resourcePrefix(field: string, value: string): string {
    const bytes = Buffer.byteLength(value);
    if (bytes > LIMITS.resourceBytes) {
      this.note(field, `must have at most ${LIMITS.resourceBytes} bytes of UTF-8, has ${bytes}`);
    } else {
      this.#text(field, value);
    }
    return value;
  }

  /** How many to list in one page; 0: the default number. A larger number than the limit means the limit. */
  pageSize(field: string, value: number): number {
    if (value < 0) this.note(field, `must not be negative, is ${value}`);
    return value === 0 ? LIMITS.defaultPage : Math.min(value, LIMITS.largestPage);
  }

  /** Case does not matter in a UUID. Stores and answers have the lower-case form. */
  uuid(field: string, value: string): string {
    const lower = value.toLowerCase();
    if (value === '') this.note(field, 'is required: a random UUID made by the client');
    else if (!UUID.test(lower)) this.note(field, 'must be a UUID in 8-4-4-4-12 hex form');
    else if (lower === NIL_UUID) this.note(field, 'must not be the nil UUID, which anyone can guess');
    return lower;
  }

  owner(field: string, value: string): string {
    return this.text(field, value, LIMITS.ownerBytes);
  }

  /** Text that may be empty. */
  text(field: string, value: string, mostBytes: number): string {
    const bytes = Buffer.byteLength(value);
    if (bytes > mostBytes) this.note(field, `must have at most ${mostBytes} bytes of UTF-8, has ${bytes}`);
    else this.#text(field, value);
    return value;
  }

  /** '' if none was sent. */
  optionalUuid(field: string, value: string): string {
    return value === '' ? '' : this.uuid(field, value);
  }

  operationId(field: string, value: string): string {
    const bytes = Buffer.byteLength(value);
    if (bytes === 0 || bytes > LIMITS.operationIdBytes) {
      this.note(field, `must have 1 to ${LIMITS.operationIdBytes} bytes of UTF-8, has ${bytes}`);
    } else {
      this.#text(field, value);
    }
    return value;
  }

  reason(field: string, value: string): string {
    return this.text(field, value, LIMITS.reasonBytes);
  }

  operationType(field: string, value: string): string {
    if (value.length > LIMITS.operationTypeChars || !OPERATION_TYPE.test(value)) {
      this.note(field, `must have 1 to ${LIMITS.operationTypeChars} characters from [A-Za-z0-9._/-]`);
    }
    return value;
  }

  /** Types of work: at least `fewest` of them. */
  types(field: string, values: readonly string[], fewest: number): readonly string[] {
    if (values.length < fewest || values.length > LIMITS.typesPerRequest) {
      const bounds = `${fewest} to ${LIMITS.typesPerRequest}`;
      this.note(field, `must have ${bounds} entries, has ${values.length}`);
      return [];
    }
    for (const [index, value] of values.entries()) this.operationType(`${field}[${index}]`, value);
    return [...new Set(values)];
  }

  /** The encoded bytes of a payload. */
  payload(field: string, bytes: Uint8Array, maxBytes: number): Uint8Array {
    if (bytes.length > maxBytes) {
      this.note(field, `must have at most ${maxBytes} bytes when encoded, has ${bytes.length}`);
    }
    return bytes;
  }

  /** An integer from `min` to `max`; `unset` if it is 0. */
  count(field: string, value: number, { min, max, unset }: CountBounds): number {
    if (value === 0) return unset;
    if (value < min || value > max) this.note(field, `must be from ${min} to ${max}, is ${value}`);
    return value;
  }

  /** The version that a record must have; 0 if any will do. */
  version(field: string, value: bigint | undefined): number {
    if (value === undefined) return 0;
    if (value < 1n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.note(field, 'must be 1 or more; if any version will do, leave it out');
    }
    return Number(value);
  }

  /** Keys of labels. */
  keys(field: string, values: readonly string[], most: number): readonly string[] {
    if (values.length > most) this.note(field, `must have at most ${most} entries, has ${values.length}`);
    for (const [index, key] of values.slice(0, most).entries()) {
      if (key.length > LIMITS.metadataKeyChars || !METADATA_KEY.test(key))
        this.note(`${field}[${index}]`, BAD_KEY);
    }
    return values;
  }

  metadata(field: string, value: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    if (value.size > LIMITS.metadataEntries) {
      this.note(field, `must have at most ${LIMITS.metadataEntries} entries, has ${value.size}`);
      return value;
    }
    let total = 0;
    for (const [key, text] of value) {
      if (key.length > LIMITS.metadataKeyChars || !METADATA_KEY.test(key)) {
        this.note(field, `keys ${BAD_KEY}`);
        continue;
      }
      const bytes = Buffer.byteLength(text);
      if (bytes > LIMITS.metadataValueBytes) {
        this.note(
          `${field}.${key}`,
          `must have at most ${LIMITS.metadataValueBytes} bytes of UTF-8, has ${bytes}`,
        );
      } else {
        this.#text(`${field}.${key}`, text);
      }
      total += bytes + Buffer.byteLength(key);
    }
    if (total > LIMITS.metadataTotalBytes) {
      this.note(field, `must have at most ${LIMITS.metadataTotalBytes} bytes in all, has ${total}`);
    }
    return value;
  }

  /**
   * A span of at least `minMs` and at most `maxMs`; `unset` if none was sent. Whole milliseconds, rounded down.
   */
  duration(field: string, value: SentDuration, minMs: number, maxMs: number, unset: number): number {
    if (value === undefined) return unset;
    if (Number.isNaN(value)) {
      this.note(field, 'must be a valid Duration: nanos within a second and of the same sign as seconds');
    } else if (value < minMs || value > maxMs) {
      this.note(field, `must be from ${seconds(minMs)} to ${seconds(maxMs)}, is ${seconds(value)}`);
    }
    return Math.floor(value);
  }

  /** For how long a stream renews; Infinity if none was sent. */
  renewFor(field: string, value: SentDuration): number {
    return this.duration(field, value, LIMITS.minRenewForMs, LIMITS.renewForMs, Number.POSITIVE_INFINITY);
  }

  fencingToken(field: string, value: bigint): bigint {
    if (value <= 0n) this.note(field, 'is required: the positive token of the grant');
    return value;
  }

  mode(field: string, mode: Mode): Mode {
    if (mode.kind !== 'permits') return mode;
    if (mode.limit < 1 || mode.limit > LIMITS.permits) {
      this.note(`${field}.limit`, `must be from 1 to ${LIMITS.permits}, is ${mode.limit}`);
    } else if (mode.permits < 1 || mode.permits > mode.limit) {
      this.note(`${field}.permits`, `must be from 1 to the limit of ${mode.limit}, is ${mode.permits}`);
    }
    return mode;
  }

  #text(field: string, value: string): void {
    if (value.includes(REPLACEMENT)) this.note(field, 'must be valid UTF-8 (it contains U+FFFD)');
    else if (CONTROL.test(value)) this.note(field, 'must not contain control characters');
  }
}

function seconds(ms: number): string {
  return `${ms / 1_000} s`;
}
