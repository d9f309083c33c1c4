// `leasehold ops …`: inspects operations, and cancels and retries them.

import type { FilterOptions, Operation, OperationState, Payload } from '../client/client.ts';
import { systemClock } from '../domain/clock.ts';
import { withClient } from './connect.ts';
import { EXIT, Exit } from './exit.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { payloadJson, print, printJson, terminalWidth } from './output.ts';
import type { Env } from './program-context.ts';
import { ago, fields, labelsText, printable, span, table, timeOfDay } from './text.ts';

type Options = ConnectionOptions & OutputOptions;

interface FilterFlags {
  readonly resource?: string;
  readonly prefix?: string;
  readonly type?: readonly string[];
  readonly state?: readonly Exclude<OperationState, 'unknown'>[];
  readonly owner?: string;
  readonly label?: Readonly<Record<string, string>>;
}

const HEADINGS = ['RESOURCE', 'ID', 'TYPE', 'STATE', 'OWNER', 'ATTEMPT', 'UPDATED', 'LABELS'];

export async function listOperations(options: Options & FilterFlags, env: Env): Promise<void> {
  const { json, timeout: timeoutMs } = options;
  const operations: Operation[] = [];
  await withClient(options, env, async (client) => {
    const all = client.operations.list({ ...filterOf(options), timeoutMs, withPayloads: json ?? false });
    for await (const operation of all) {
      if (json) await printJson(operation);
      else operations.push(operation);
    }
  });
  const nowMs = systemClock.wallMs();
  if (!json && operations.length > 0) {
    const rows = operations.map((operation) => rowOf(operation, nowMs));
    await print(table(HEADINGS, rows, terminalWidth()));
  }
}

export async function showOperation(resource: string, id: string, options: Options, env: Env): Promise<void> {
  const { timeout: timeoutMs } = options;
  const operation = await withClient(options, env, (client) =>
    client.operations.get(resource, id, { timeoutMs }),
  );
  await tellOf(operation, options);
}

export async function waitForOperation(
  resource: string,
  id: string,
  options: Options & { readonly wait: number },
  env: Env,
): Promise<void> {
  const { wait: waitMs, timeout: timeoutMs, json } = options;
  const operation = await withClient(options, env, async (client) => {
    await client.operations.get(resource, id, { timeoutMs }); // reports a missing server or operation at once
    return client.operations.wait(resource, id, { waitMs });
  });
  if (json) await printJson(operation);
  if (operation.state !== 'succeeded') {
    const why = operation.error ? `: ${operation.error.message}` : '';
    throw new Exit(EXIT.no, json ? '' : printable(`${resource} ${id} is ${operation.state}${why}`));
  }
  if (!json && operation.result !== undefined) await print(`${payloadJson(operation.result)}\n`);
}

export async function watchOperations(options: Options & FilterFlags, env: Env): Promise<void> {
  const { json, timeout: timeoutMs } = options;
  await withClient(options, env, async (client) => {
    const changes = client.operations.watch({ ...filterOf(options), timeoutMs, withPayloads: json ?? false });
    for await (const change of changes) {
      if (json) await printJson(change.kind === 'snapshot-complete' ? { kind: 'snapshot_complete' } : change);
      else if (change.kind === 'operation') await print(`${changed(change.operation)}\n`);
      else if (change.kind === 'removed')
        await print(`${now()}  ${printable(`${change.resource} ${change.operationId}`)}  removed\n`);
    }
  });
}

export async function cancelOperation(
  resource: string,
  id: string,
  options: Options & { readonly reason?: string },
  env: Env,
): Promise<void> {
  const { reason, timeout: timeoutMs, json } = options;
  const operation = await withClient(options, env, (client) =>
    client.operations.cancel(resource, id, { reason, timeoutMs }),
  );
  if (json) await printJson(operation);
  else if (operation.state === 'running')
    await print(printable(`${resource} ${id} is running; its worker has been asked to stop`).concat('\n'));
  else await print(printable(`${resource} ${id} is ${operation.state}`).concat('\n'));
}

export async function retryOperation(
  resource: string,
  id: string,
  options: Options,
  env: Env,
): Promise<void> {
  const { timeout: timeoutMs, json } = options;
  const operation = await withClient(options, env, (client) =>
    client.operations.retry(resource, id, { timeoutMs }),
  );
  if (json) await printJson(operation);
  else await print(printable(`${resource} ${id} is ${operation.state}`).concat('\n'));
}

function filterOf({
  resource,
  prefix,
  type: types,
  state: states,
  owner,
  label: labels,
}: FilterFlags): FilterOptions {
  return { resource, prefix, types, states, owner, labels };
}

async function tellOf(operation: Operation, { json }: OutputOptions): Promise<void> {
  if (json) await printJson(operation);
  else await print(described(operation, systemClock.wallMs()));
}

function rowOf(operation: Operation, nowMs: number): string[] {
  const { resource, operationId, type, state, owner, attempt, updatedAt, labels, cancelReason } = operation;
  const isCancelling = cancelReason !== undefined && !operation.isDone;
  return [
    resource,
    operationId,
    type,
    isCancelling ? `${state} (cancelling)` : state,
    owner,
    attempt.toString(),
    ago(updatedAt, nowMs),
    labelsText(labels),
  ];
}

function described(operation: Operation, nowMs: number): string {
  const { data, progress, result, error, cancelReason, heartbeatRemainingMs, expiresAt } = operation;
  const payload = (value: Payload | undefined) => (value === undefined ? undefined : payloadJson(value));
  return fields([
    ['resource', operation.resource],
    ['id', operation.operationId],
    ['type', operation.type],
    ['state', operation.state],
    ['owner', operation.owner],
    [
      'attempt',
      `${operation.attempt} (${operation.attemptsCounted} of at most ${operation.maxAttempts} counted)`,
    ],
    ['token', operation.attempt > 0 ? operation.fencingToken.toString() : undefined],
    [
      'stale without news',
      heartbeatRemainingMs === undefined ? undefined : `in ${span(heartbeatRemainingMs)}`,
    ],
    ['created', ago(operation.createdAt, nowMs)],
    ['started', operation.startedAt && ago(operation.startedAt, nowMs)],
    ['updated', ago(operation.updatedAt, nowMs)],
    ['finished', operation.finishedAt && ago(operation.finishedAt, nowMs)],
    ['removal', expiresAt && ago(expiresAt, nowMs)],
    ['cancellation', cancelReason === '' ? 'requested' : cancelReason],
    ['labels', labelsText(operation.labels)],
    ['data', payload(data)],
    ['progress', payload(progress)],
    ['result', payload(result)],
    ['error', error?.message],
  ]);
}

function changed(operation: Operation): string {
  const { resource, operationId, type, state, owner, attempt } = operation;
  const by = owner === '' ? '' : `, ${owner}, attempt ${attempt}`;
  return `${now()}  ${printable(`${resource} ${operationId}  ${type}  ${state}${by}`)}`;
}

function now(): string {
  return timeOfDay(systemClock.wallMs());
}
