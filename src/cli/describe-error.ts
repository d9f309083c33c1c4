// How an error ends a command: its exit code, and the sentences for stderr. What happened and what to do are the
// client's own words. Here, only the options of createClient become those of the command line.

import { ADVICE } from '../client/advice.ts';
import {
  AttemptLostError,
  ContendedError,
  type ErrorReason,
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

/** In place of the client's advice, where that is about what was given to createClient. */
const ADVICE_ON_CONNECTION: Partial<Record<ErrorReason, string>> = {
  SERVER_UNREACHABLE: 'Check --server, and that a server runs there.',
  NOT_LEASEHOLD: 'Check --server: what answers there is not a Leasehold server.',
  TLS_FAILED: 'Compare --tls and the options after it with the server.tls settings of the server.',
  UNAUTHENTICATED: 'Give --token-file a file with a token that is in the tokens file of this server.',
  DRAINING: 'Give --server the addresses of all servers, so that the command can go on with another one.',
};

/** What the client calls its options and methods, and what the command line calls them. */
const NAMES: readonly (readonly [ofClient: RegExp, ofCommands: string])[] = [
  [/`?\bwaitMs\b`?/g, '--wait'],
  [/`?\bmaxHoldMs\b`?/g, '--max-hold'],
  [/\bretry\(\) it\b/g, 'retry it ("leasehold ops retry")'],
];

/** What fills the fields of the contract, which a server names when it refuses them. Longer names come first. */
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
  ['tls.ca', '--tls-ca'],
  ['tls.cert', '--tls-cert'],
  ['tls.key', '--tls-key'],
  ['tls.serverName', '--tls-server-name'],
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
    return { code: EXIT.internal, message: `This is a defect of leasehold; please report it: ${what}` };
  }
  return { code: codeOf(error), message: messageOf(error) };
}

export function messageOf(error: LeaseholdError): string {
  const violations = error instanceof InvalidArgumentError ? error.violations : [];
  if (violations.length > 0) {
    const told = violations.map(({ field, description }) => `${optionOf(field)}: ${description}`);
    return printable(`${told.join('; ')}. ${ADVICE.INVALID_ARGUMENT}`);
  }
  const { reason } = error;
  const message = error.message.replace(ADVICE[reason], () => ADVICE_ON_CONNECTION[reason] ?? ADVICE[reason]);
  return printable(
    NAMES.reduce((text, [ofClient, ofCommands]) => text.replace(ofClient, ofCommands), message),
  );
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
