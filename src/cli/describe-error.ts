// How an error ends a command: its exit code, and the sentence for stderr. The messages of the SDK speak of the
// options of createClient; here they speak of those of the command line.

import {
  AttemptLostError,
  ContendedError,
  InvalidArgumentError,
  LeaseholdError,
  LeaseLostError,
  NotHeldError,
  OperationEndedError,
  OperationRefusedError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
} from '../client/client.ts';
import { EXIT } from './exit.ts';
import { printable } from './text.ts';

const IN_OUR_WORDS: readonly (readonly [RegExp, string])[] = [
  [/Check the addresses given to createClient/g, 'Check --server'],
  [/Give createClient the addresses of all instances/g, 'Give --server the addresses of all instances'],
  [/Compare the `tls` options of createClient/g, 'Compare --tls and the options after it'],
  [/Give createClient a `token` that is/g, 'Give with --token-file a token that is'],
  [/Wait longer \(waitMs\)/g, 'Wait longer (--wait)'],
  [/give a `waitMs` of a minute or more/g, 'give a --wait of a minute or more'],
  [/and retry\(\) it/g, 'and retry it ("leasehold ops retry")'],
  [/its maxHoldMs is over/g, 'its --max-hold is over'],
];

/** What fills the fields of the contract, which are what a server complains of. Longer names first. */
const FILLED_BY: readonly (readonly [field: string, given: string])[] = [
  ['spec.resource', 'RESOURCE'],
  ['spec.ttl', '--ttl'],
  ['spec.owner', '--owner'],
  ['spec.metadata', '--metadata'],
  ['spec.min_hold', '--min-hold'],
  ['spec.max_hold', '--max-hold'],
  ['spec.permits', '--permits'],
  ['wait_timeout', '--wait'],
  ['resource_prefix', '--prefix'],
  ['resources', 'RESOURCE'],
  ['resource', 'RESOURCE'],
  ['operation_id', 'ID'],
  ['lease_id', '--lease-id'],
  ['fencing_token', '--fencing-token'],
  ['ttl', '--ttl'],
  ['owner', '--owner'],
  ['reason', '--reason'],
  ['filter.resource_prefix', '--prefix'],
  ['filter.resource', '--resource'],
  ['filter.types', '--type'],
  ['filter.owner', '--owner'],
  ['filter.labels', '--label'],
];

export interface DescribedError {
  readonly code: number;
  readonly message: string;
}

export function describeError(error: unknown): DescribedError {
  if (!(error instanceof LeaseholdError)) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { code: EXIT.internal, message: `A defect of this program, please report it: ${what}` };
  }
  return { code: codeOf(error), message: messageOf(error) };
}

export function messageOf(error: LeaseholdError): string {
  const violations = error instanceof InvalidArgumentError ? error.violations : [];
  if (violations.length > 0) {
    const told = violations.map(({ field, description }) => `${optionOf(field)}: ${description}`);
    return printable(`${told.join('; ')}. Mend it; the same again changes nothing.`);
  }
  return printable(IN_OUR_WORDS.reduce((text, [from, to]) => text.replace(from, to), error.message));
}

function codeOf(error: LeaseholdError): number {
  if (error instanceof UnavailableError) return EXIT.unavailable;
  if (error instanceof LeaseLostError || error instanceof NotHeldError || error instanceof AttemptLostError) {
    return EXIT.lost;
  }
  if (error instanceof UnauthenticatedError || error instanceof PermissionDeniedError) return EXIT.denied;
  if (error instanceof InvalidArgumentError) return EXIT.usage;
  if (error instanceof ContendedError || error instanceof OperationRefusedError) return EXIT.no;
  if (error instanceof OperationEndedError) return EXIT.no;
  return error.reason === 'INTERNAL' ? EXIT.internal : EXIT.unavailable;
}

function optionOf(field: string): string {
  const [name, given] = FILLED_BY.find(([known]) => field.startsWith(known)) ?? ['', ''];
  return `${given}${field.slice(name.length)}`;
}
