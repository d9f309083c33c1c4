// What a drill takes from the servers' own words: when all of them grant again, and when none can write to the former
// primary any more.
import { expect, onTestFinished, test } from 'vitest';
import type { ServerInfo } from '../../src/client/client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { ServerStates } from '../../src/drill/server-states.ts';
import { eventually } from '../support/eventually.ts';

const FORMER = 'former';

/** `undefined` for a server that doesn't answer. */
async function statesOf(...reigns: readonly (string | undefined)[]): Promise<ServerStates> {
  const states = new ServerStates(systemClock);
  const watching = new AbortController();
  onTestFinished(() => watching.abort());
  const servers = reigns.map((reign, index) => {
    const serverInfo = async (): Promise<ServerInfo> => {
      if (reign === undefined) throw new Error('no answer');
      return { serving: true, reign } as ServerInfo; // the other fields aren't read
    };
    return [`server-${index}`, { serverInfo }] as const;
  });
  const heard = new Set<string>();
  void states.watch(new Map(servers), (server) => heard.add(server), watching.signal);
  await eventually(() => heard.size === reigns.length, {
    what: 'the states of all servers',
    withinMs: 10_000,
  });
  return states;
}

test.each([
  [[FORMER, FORMER], false, false],
  [['new', FORMER], false, false],
  [[undefined, undefined], false, false],
  [['new', undefined], true, false],
  [['new', 'new'], true, true],
])(
  'Servers under the reigns %j: none uses the former primary (%s), all grant again (%s)',
  async (reigns, areAfter, grant) => {
    const states = await statesOf(...reigns);
    expect(states.areAfter(FORMER)).toBe(areAfter);
    expect(states.allGrantAfter(FORMER)).toBe(grant);
    expect(states.notGrantingAfter(FORMER)).toEqual(
      reigns.flatMap((reign, index) => (reign === 'new' ? [] : [`server-${index}`])),
    );
  },
);
