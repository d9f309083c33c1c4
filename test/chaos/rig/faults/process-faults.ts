// Processes that are killed (SIGKILL) and started again, and processes that are frozen (SIGSTOP) and go on.

import { ENTRY_KEPT_MS, type Rig } from '../chaos-rig.ts';
import type { Party } from '../network.ts';
import { anyOne, chosen, type FaultKind, type FaultOptions, unlessAllMust } from './fault.ts';

interface Stoppable extends Party {
  kill(): Promise<void>;
  start(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
}

type Who = (rig: Rig, options: FaultOptions) => Promise<readonly Stoppable[]>;
type Terms = Omit<FaultKind, 'aim' | 'as'> & { readonly who: Who };

const primary: Who = async (rig) => [await rig.primary()];
const replica: Who = async (rig, options) => [chosen(await rig.replicas(), options)];
const bothReplicas: Who = (rig) => rig.replicas();
const sentinel: Who = async (rig, options) => [chosen(rig.sentinels, options)];
const server: Who = async (rig, options) => [chosen(rig.servers, options)];
const client: Who = async (rig, options) => [chosen(rig.clients, options)];
const primaryAndReplica: Who = async (rig, options) => [
  await rig.primary(),
  chosen(await rig.replicas(), options),
];

function killed({ who, ...kind }: Terms): FaultKind {
  return {
    ...kind,
    as: 'kill',
    aim: async (rig, options) => {
      const targets = await who(rig, options);
      return {
        targets,
        taken: targets,
        detail: 'SIGKILL, then started with its data',
        strike: async () => {
          await Promise.all(targets.map((target) => target.kill()));
        },
        heal: async () => {
          await Promise.all(targets.map((target) => target.start()));
        },
      };
    },
  };
}

function frozen({ who, ...kind }: Terms): FaultKind {
  return {
    ...kind,
    as: 'pause',
    aim: async (rig, options) => {
      const targets = await who(rig, options);
      return {
        targets,
        taken: targets,
        detail: 'SIGSTOP, then SIGCONT',
        strike: async () => {
          await Promise.all(targets.map((target) => target.pause()));
        },
        heal: async () => {
          await Promise.all(targets.map((target) => target.resume()));
        },
      };
    },
  };
}

const FAILOVER = { lane: 'failover', lastsMs: [3_000, 12_000] } as const;
const ASIDE = { lane: 'aside', lastsMs: [1_000, 8_000], choose: anyOne } as const;
const ONE_OF_THE_REPLICAS = { ...FAILOVER, choose: anyOne, stays: { mayProgress: true } } as const;

export const PROCESS_FAULTS: readonly FaultKind[] = [
  killed({ name: 'kill-primary', ...FAILOVER, who: primary }),
  killed({ name: 'kill-replica', ...ONE_OF_THE_REPLICAS, who: replica }),
  killed({
    name: 'kill-primary-and-replica',
    ...FAILOVER,
    choose: anyOne,
    mayLose: unlessAllMust,
    who: primaryAndReplica,
  }),
  killed({ name: 'kill-sentinel', ...ASIDE, stays: { mayProgress: true }, who: sentinel }),
  killed({ name: 'kill-server', ...ASIDE, endsServer: true, stays: { mayProgress: true }, who: server }),
  killed({ name: 'kill-client', ...ASIDE, stays: { mayProgress: true }, who: client }),
  frozen({ name: 'freeze-primary', ...FAILOVER, who: primary }),
  frozen({ name: 'freeze-replica', ...ONE_OF_THE_REPLICAS, who: replica }),
  frozen({ name: 'freeze-both-replicas', ...FAILOVER, lastsMs: [1_000, 8_000], who: bothReplicas }),
  frozen({ name: 'freeze-sentinel', ...ASIDE, stays: { mayProgress: true }, who: sentinel }),
  frozen({ name: 'freeze-server', ...ASIDE, stays: { mayProgress: true }, who: server }),
  // Longer than its entry in the registry is kept: when it wakes up, nobody counts on it any more.
  frozen({
    name: 'freeze-server-for-long',
    ...ASIDE,
    endsServer: true,
    lastsMs: [ENTRY_KEPT_MS + 1_000, ENTRY_KEPT_MS + 8_000],
    who: server,
  }),
  // Longer than a lease: when it wakes up, another client has what it held.
  frozen({
    name: 'freeze-client',
    ...ASIDE,
    lastsMs: [1_000, 15_000],
    stays: { mayProgress: true },
    who: client,
  }),
];
