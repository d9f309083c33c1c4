// What users can do about each reason, in one sentence each; every message takes its sentence from here. The table is
// total: a new reason breaks the build until it has a line.

import type { ErrorReason } from './client-errors.ts';

const REPEAT = 'Repeat it later; a repeat with the same ids has no second effect.';

export const ADVICE: Readonly<Record<ErrorReason, string>> = {
  INVALID_ARGUMENT: 'Correct the request; repeating it changes nothing.',
  LOCK_CONTENDED: 'Wait longer (waitMs), or do without.',
  LEASE_LOST: 'Stop what it protects, and acquire anew.',
  MOVED: 'A newer call with the same id has taken over; listen to that one.',
  LEASE_ID_REUSED: 'Give each acquisition a lease id of its own, or leave it out.',
  UNAUTHENTICATED: 'Give createClient a `token` that is in the tokens file of this server.',
  PERMISSION_DENIED: 'Call with the token of an administrator.',
  QUARANTINE: 'Wait for its end: give a `waitMs` of a minute or more.',
  REDIS_UNAVAILABLE: `Nothing was changed. ${REPEAT}`,
  PRIMARY_UNCONFIRMED: REPEAT,
  OUTCOME_UNKNOWN: REPEAT,
  DURABILITY_UNMET: 'Repeat it later, see why the replicas of Redis lag behind, or ask for less durability.',
  DEPLOYMENT_MISMATCH: 'Ask the operator: the settings of this server contradict those of the others.',
  OVERLOADED: 'Nothing was changed. Repeat it later, and see whether the servers are too few.',
  DRAINING: 'Give createClient the addresses of all instances, so that it can go on with another one.',
  STORE_FULL: 'Ask the operator for more memory in Redis.',
  QUEUE_FULL: 'Let fewer callers wait for this resource, or come back later.',
  WATCH_INTERRUPTED: 'Watch again; the new watch begins with a snapshot.',
  WATCHER_TOO_SLOW: 'Take the changes faster, or watch fewer resources.',
  OPERATION_NOT_FOUND:
    'Check the resource and the id; finished operations are removed when their retention ends.',
  OPERATION_EXISTS: 'Use another id, or the same type, data and labels as the first time.',
  OPERATION_OPEN: 'Wait for the other operation of this resource to end.',
  ATTEMPT_HELD: 'Wait for the other worker, or leave the operation to it.',
  STALE_ATTEMPT: 'Stop the work on the operation, now.',
  WRONG_STATE: 'Look at the state of the operation first.',
  VERSION_MISMATCH: 'Read the operation again and decide anew.',
  LEASE_REQUIRED: 'Acquire the lease first, and hold it while the operation is begun.',
  DEADLINE_EXCEEDED: REPEAT,
  CANCELLED: REPEAT,
  NOT_IMPLEMENTED: 'Check that the address is that of a Leasehold server, and that it is new enough.',
  INTERNAL: 'This is a defect of the server: look into its log, and report it.',
  SERVER_UNREACHABLE: 'Check the addresses given to createClient, and that a server runs there.',
  TLS_FAILED: 'Compare the `tls` options of createClient with the server.tls settings of the server.',
  NO_ANSWER: `Check that the server is alive and the network lets its answers through. ${REPEAT}`,
  NOT_LEASEHOLD: 'Check the addresses given to createClient: what answers there is no Leasehold server.',
  CLIENT_CLOSED: 'Make calls before close(), or make a new client.',
  OPERATION_FAILED: 'Fix what made it fail, and retry() it.',
  OPERATION_CANCELLED: 'Begin another one if it is wanted after all.',
  OPERATION_DEAD: 'See why its workers were lost, and retry() it.',
  WORKER_STOPPING: 'Come to an end: another worker goes on with the operation.',
  UNKNOWN: 'Update this package: the server says something that it does not know.',
};
