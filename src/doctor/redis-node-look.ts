// What one Redis node says of itself, read with commands that change nothing.

import type { NodeLines } from '../deployment/node-lines.ts';
import type { Clock } from '../domain/clock.ts';
import type { HostPort } from '../domain/host-port.ts';
import { fieldsOf } from '../store/redis/info.ts';
import type { Keys } from '../store/redis/keys.ts';
import { lackingRights } from '../store/redis/user-rights.ts';
import {
  type ClockSample,
  type Fields,
  type LatencyEvent,
  type Look,
  type RedisNodeFacts,
  SETTINGS_READ,
} from './facts.ts';
import { look, lookAndRead, NodeLook } from './look.ts';

export interface RedisLookOptions {
  readonly lines: NodeLines;
  readonly clock: Clock;
  readonly keys: Keys;
  readonly timeoutMs: number;
  readonly isHere: (host: string) => boolean;
}

/** TIME is asked so often: the shortest round trip tells the clock best. */
const SAMPLES = 7;

export async function lookAtRedis(
  address: HostPort,
  role: 'primary' | 'replica',
  { lines, clock, keys, timeoutMs, isHere }: RedisLookOptions,
): Promise<RedisNodeFacts> {
  const node = new NodeLook(lines, address, clock);
  const askedAtMs = clock.monotonicMs();
  const opened = await node.open();
  const reach = 'unseen' in opened ? opened : { seen: clock.monotonicMs() - askedAtMs };
  const info = await lookAndRead(node.ask('INFO'), (text) => fieldsOfInfo(String(text)));
  const settings = await lookAndRead(node.ask('CONFIG', 'GET', ...SETTINGS_READ), fieldsOf);
  const latency = await lookAndRead(node.ask('LATENCY', 'LATEST'), latencyEvents);
  const samples = await askTime(node, clock);
  const lacking = await node.with((connection) => lackingRights(connection, keys, timeoutMs));
  return {
    address,
    role,
    isHere: isHere(address.host),
    reach,
    info,
    settings,
    roundTripsMs: 'unseen' in samples ? samples : { seen: samples.seen.map(({ tookMs }) => tookMs) },
    clock: 'unseen' in samples ? samples : { seen: bestOf(samples.seen) },
    latency,
    lackingRights: lacking,
  };
}

/** What the deployment has recorded about itself. */
export async function lookAtMeta(
  address: HostPort | undefined,
  { lines, keys }: RedisLookOptions,
): Promise<Look<Fields>> {
  if (!address) return { unseen: 'no primary is known' };
  return lookAndRead(
    look(() => lines.ask(address, 'HGETALL', keys.meta)),
    fieldsOf,
  );
}

/** The instances that a roll call waits for. */
export async function lookAtInstances(
  address: HostPort | undefined,
  { lines, keys }: RedisLookOptions,
): Promise<Look<Fields>> {
  if (!address) return { unseen: 'no primary is known' };
  return lookAndRead(
    look(() => lines.ask(address, 'HGETALL', `${keys.bucket}instances`)),
    fieldsOf,
  );
}

export function fieldsOfInfo(text: string): Fields {
  const lines = text.split('\r\n').filter((line) => line.indexOf(':') > 0);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

interface TimeSample extends ClockSample {
  readonly tookMs: number;
}

async function askTime(node: NodeLook, clock: Clock): Promise<Look<readonly TimeSample[]>> {
  const samples: TimeSample[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const [wallMs, sentAtMs] = [clock.wallMs(), clock.monotonicMs()];
    const reply = await node.ask('TIME');
    if ('unseen' in reply) return samples.length > 0 ? { seen: samples } : reply;
    const tookMs = clock.monotonicMs() - sentAtMs;
    const [seconds, micros] = Array.isArray(reply.seen) ? reply.seen.map(Number) : [];
    const nodeMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
    samples.push({ tookMs, offsetMs: nodeMs - (wallMs + tookMs / 2), uncertaintyMs: tookMs / 2 });
  }
  return { seen: samples };
}

function bestOf(samples: readonly TimeSample[]): ClockSample {
  const [best] = samples.toSorted((a, b) => a.uncertaintyMs - b.uncertaintyMs);
  if (!best) throw new Error('no sample');
  return { offsetMs: best.offsetMs, uncertaintyMs: best.uncertaintyMs };
}

/** Rows of name, moment, latest and longest, and more numbers with Valkey. */
function latencyEvents(reply: unknown): readonly LatencyEvent[] {
  const rows: readonly unknown[] = Array.isArray(reply) ? reply : [];
  return rows.flatMap((row) => {
    if (!Array.isArray(row)) return [];
    const [event, , latestMs, maxMs] = row;
    return [{ event: String(event), latestMs: Number(latestMs), maxMs: Number(maxMs) }];
  });
}
