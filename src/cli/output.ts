// What goes to stdout: JSON for programs, texts for people. What goes to stderr is in notices.ts.
//
// The JSON uses the names of the contract (fencing_token). 64-bit numbers are strings, as in protobuf's JSON; spans of
// time are milliseconds; moments are RFC 3339. Metadata, labels and payloads belong to users, so their keys stay.

import { once } from 'node:events';
import { type Payload, RawPayload } from '../client/client.ts';

const FOREIGN = ['metadata', 'labels', 'data', 'progress', 'result'];

export function printJson(value: unknown): Promise<void> {
  return print(`${jsonOf(value)}\n`);
}

/** Resolves when more can be printed: what a slow reader has not taken yet must not fill the memory. */
export async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** The columns of the terminal; undefined if stdout is not one. */
export function terminalWidth(): number | undefined {
  // Some pseudo-terminals report 0.
  return process.stdout.isTTY ? process.stdout.columns || undefined : undefined;
}

/** A payload alone: its keys stay. */
export function payloadJson(payload: Payload): string {
  return payload instanceof RawPayload ? jsonOf(payload) : JSON.stringify(payload);
}

function jsonOf(value: unknown): string {
  return JSON.stringify(contractOf(value));
}

function contractOf(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof RawPayload) {
    return { '@type': value.typeUrl, value_base64: Buffer.from(value.value).toString('base64') };
  }
  if (Array.isArray(value)) return value.map(contractOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      FOREIGN.includes(key) && !(inner instanceof RawPayload) ? inner : contractOf(inner),
    ]),
  );
}
