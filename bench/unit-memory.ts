// The memory that Redis needs for one lock, waiter and operation of each kind, for the figures of `leasehold capacity`.
// The tables of Redis's dictionaries are not in them: they grow in steps, and the plan counts them by itself.
import { dictionaries } from '../src/capacity/memory-need.ts';
import { NAME_BYTES, OWNER_BYTES, tableBytes } from '../src/capacity/unit-costs.ts';
import { formatHostPort } from '../src/domain/host-port.ts';
import { eventually } from '../test/support/eventually.ts';
import type { UnitCallsOrder } from './loads/unit-calls.ts';
import type { Backend, Rig } from './rig.ts';
import type { Found } from './scenario.ts';

/** As deploy/redis sets it up. */
export const DEPLOYED = ['hash-max-listpack-value 512', 'hash-max-listpack-entries 128'];
/** So that no lease ends while others are made. */
export const LONG_TTL = { LEASEHOLD_LOCKS_MAX_TTL: '10m' };
const KIB = 1_024;
const LONGER = 160;
const METADATA = 768;

type Kind = Partial<
  Pick<UnitCallsOrder, 'nameBytes' | 'ownerBytes' | 'metadataBytes' | 'payloadBytes' | 'mode'>
>;

export async function unitMemory(rig: Rig, count: number): Promise<readonly Found[]> {
  const lock = async (kind: Kind): Promise<number> => {
    const { grown } = await filled(rig, { what: 'acquire', kind, count });
    return (grown - tables({ locks: count })) / count;
  };
  const operation = async (kind: Kind, operations: number): Promise<number> => {
    const { grown } = await filled(rig, { what: 'record', kind, count: operations });
    return (grown - tables({ operations })) / operations;
  };
  const { empty } = await filled(rig, { what: 'acquire', kind: {}, count: 10 });
  const exclusiveLock = await lock({});
  const lockPerOwnerByte = (await lock({ ownerBytes: OWNER_BYTES + LONGER })) - exclusiveLock;
  const withMetadata = (await lock({ metadataBytes: METADATA })) - exclusiveLock;
  const plain = await operation({}, count);
  const single = await waiters(rig, count / 10, count / 10);
  const packed = await waiters(rig, count / 200, count / 10);
  // One queue is shared by 20 waiters in the second, and by one in the first.
  const waiter = (packed * 20 - single) / 19;
  const figures = {
    empty,
    exclusiveLock,
    sharedLock: await lock({ mode: 'shared' }),
    permitsLock: await lock({ mode: 'permits' }),
    lockPerNameByte: ((await lock({ nameBytes: NAME_BYTES + LONGER })) - exclusiveLock) / LONGER,
    lockPerOwnerByte: lockPerOwnerByte / LONGER,
    unpackedLock: Math.max(withMetadata - (METADATA * lockPerOwnerByte) / LONGER, 0),
    waiter,
    queue: single - waiter,
    longQueueWaiter: await waiters(rig, 1, count / 4),
    operation: plain,
    operationPerNameByte: ((await operation({ nameBytes: NAME_BYTES + LONGER }, count)) - plain) / LONGER,
    operationWith1Kib: await operation({ payloadBytes: KIB }, count / 2),
    operationWith16Kib: await operation({ payloadBytes: 16 * KIB }, count / 10),
  };
  return Object.entries(figures).map(([name, value]) => ({
    name: `memory.${name}`,
    unit: 'B',
    value,
    better: 'less',
  }));
}

/** Of each of so many waiting calls, with its part of its queue. */
async function waiters(rig: Rig, queues: number, count: number): Promise<number> {
  const { grown } = await filled(rig, { what: 'acquire', kind: {}, count: queues, waiters: count });
  const queueLength = count / queues;
  return (
    (grown - (tables({ locks: queues, waiters: count, queueLength }) - tables({ locks: queues }))) / count
  );
}

function tables(recorded: {
  locks?: number;
  waiters?: number;
  queueLength?: number;
  operations?: number;
}): number {
  const all = { locks: 0, waiters: 0, queueLength: 1, operations: 0, ...recorded };
  return dictionaries(all).reduce((sum, entries) => sum + tableBytes(entries), 0);
}

interface Filling {
  readonly what: 'acquire' | 'record';
  readonly kind: Kind;
  readonly count: number;
  /** Measured are these, and not the locks that they wait for. */
  readonly waiters?: number;
}

async function filled(rig: Rig, { what, kind, count, waiters = 0 }: Filling) {
  const backend = await rig.redis(DEPLOYED);
  const server = await rig.leasehold(backend, LONG_TTL);
  const generator = rig.generator();
  const call = {
    kind: 'unit-calls' as const,
    address: formatHostPort(server.address),
    nameBytes: NAME_BYTES,
    ownerBytes: OWNER_BYTES,
    ...kind,
  };
  // What exists once, and is no part of a unit: scripts, connections, the meta hash.
  await generator.order({ ...call, what: 'acquire', count: 1 });
  await generator.order({ ...call, what: 'release', count: 1 });
  if (what === 'record') await generator.order({ ...call, what, count: 1 });
  const empty = await recordedBytes(backend);
  if (waiters > 0) await generator.order({ ...call, what, count });
  const before = waiters > 0 ? await recordedBytes(backend) : empty;
  if (waiters > 0) {
    await generator.order({ ...call, what: 'wait', count: waiters, queues: count });
    await areWaiting(backend, waiters);
  } else await generator.order({ ...call, what, count });
  const grown = (await recordedBytes(backend)) - before;
  await generator.close();
  await server.stop();
  await backend.redis.stop();
  return { empty, grown };
}

export async function areWaiting({ redis }: Backend, count: number): Promise<void> {
  const known = () => redis.withClient((client) => client.zcard('leasehold:{0}:patience'));
  await eventually(async () => (await known()) >= count, { what: `${count} waiters`, withinMs: 60_000 });
}

/** Without what connections and replicas take. */
export async function recordedBytes({ redis }: Backend): Promise<number> {
  const memory = await redis.info('memory');
  const bytes = (name: string): number => Number(memory.get(name) ?? 0);
  const passing = ['mem_clients_normal', 'mem_clients_slaves', 'mem_replication_backlog', 'mem_aof_buffer'];
  return passing.reduce((left, name) => left - bytes(name), bytes('used_memory'));
}
