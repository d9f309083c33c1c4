// The statuses that pass where no ErrorInfo comes with them: docs/clients.md has the list for those who write a
// client, and each client of ours has it as a constant. What the clients do with it is shown by their own tests and by
// clients/conformance/proxies.yaml.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { PASSING_WITHOUT_REASON } from '../../src/client/core/call-error.ts';
import { table } from '../support/doc-table.ts';

const read = (path: string): string => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

const isStatus = (name: string): boolean => /\D/.test(name) && name in status;
const documented = table(read('docs/clients.md'), 'When a call fails').map(([name = '']) => name);

/** The names of statuses in the value of a constant, spelled as the contract does. */
function statusesIn(source: string, declaration: RegExp): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|(\/\/|#).*/g, '');
  const [, value] = declaration.exec(code) ?? [];
  if (value === undefined) throw new Error(`nothing in the source looks like ${declaration}`);
  const names = [...value.matchAll(/\w+/g)].map(([word]) => contractName(word));
  return names.filter(isStatus);
}

/** DeadlineExceeded and Canceled, as Go has them, are DEADLINE_EXCEEDED and CANCELLED. */
function contractName(word: string): string {
  const name = word.replaceAll(/([a-z])(?=[A-Z])/g, '$1_').toUpperCase();
  return name === 'CANCELED' ? 'CANCELLED' : name;
}

/** From the name of the constant up to the bracket that closes its list. */
const CONSTANTS: readonly (readonly [language: string, path: string, declaration: RegExp])[] = [
  [
    'Python',
    'clients/python/src/leasehold/errors.py',
    /\bPASSING_WITHOUT_REASON\b[^=]*=\s*\w*[([{]([^)\]}]*)/,
  ],
  ['Go', 'clients/go/errors.go', /\bpassingWithoutReason\b[^{]*\{([^}]*)/],
  [
    'Java',
    'clients/java/src/main/java/leasehold/LeaseholdException.java',
    /\bPASSING_WITHOUT_REASON\b\s*=[^(]*\(([^)]*)/,
  ],
];

test.each(CONSTANTS)(
  'The %s client goes on after the statuses that docs/clients.md lists',
  (_, path, declaration) => {
    expect(statusesIn(read(path), declaration).sort()).toEqual([...documented].sort());
  },
);

test('The TypeScript client goes on after the statuses that docs/clients.md lists', () => {
  expect(PASSING_WITHOUT_REASON.map((code) => status[code]).sort()).toEqual([...documented].sort());
});

test('docs/clients.md lists statuses of gRPC, each once', () => {
  expect(documented.filter((name) => !isStatus(name))).toEqual([]);
  expect(new Set(documented).size).toBe(documented.length);
});
