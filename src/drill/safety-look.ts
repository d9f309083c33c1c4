// Asks Sentinels, the primary and the servers all that objections.ts judges. Changes nothing.

import type { Client } from '../client/client.ts';
import type { SafetyLook } from './objections.ts';
import type { SentinelSide } from './sentinel-side.ts';
import { type ServerState, stateOf } from './server-states.ts';

type Answer = ServerState | { readonly reason: string };

const ANSWER_MS = 5_000;

/** Never rejects: what could not be asked is part of the answer. */
export async function lookAround(
  sentinelSide: SentinelSide,
  servers: ReadonlyMap<string, Client>,
): Promise<SafetyLook> {
  const [topology, states] = await Promise.all([sentinelSide.topology(), askServers(servers)]);
  const { primary, sentinels } = topology;
  const asked = sentinels[0]?.address;
  const [quorumTrouble, replication] = await Promise.all([
    asked && sentinelSide.checkQuorum(asked).then(() => undefined, textOf),
    primary &&
      sentinelSide.replicationOf(primary).then(
        (text) => ({ text }),
        (error: unknown) => ({ reason: textOf(error) }),
      ),
  ]);
  return { topology, quorumTrouble, replication, servers: states };
}

async function askServers(servers: ReadonlyMap<string, Client>): Promise<SafetyLook['servers']> {
  const answers = await Promise.all(
    [...servers].map(async ([server, client]): Promise<readonly [string, Answer]> => {
      try {
        return [server, stateOf(await client.serverInfo({ timeoutMs: ANSWER_MS }))];
      } catch (error) {
        return [server, { reason: textOf(error) }];
      }
    }),
  );
  return new Map(answers);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
