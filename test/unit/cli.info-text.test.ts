// What `leasehold info` tells of the roll call, from what a server puts into its answer.
import { expect, test } from 'vitest';
import { infoText } from '../../src/cli/info-action.ts';
import { factsOf, type ServerInfo } from '../../src/client/server-facts.ts';
import { NO_ROLL_CALL, type RollCallStatus, type StoreStatus } from '../../src/store/store.ts';
import { encodeServerInfo } from '../../src/transport/encode-lock.ts';

const STORE: StoreStatus = {
  kind: 'redis',
  usable: true,
  mismatch: false,
  reason: '',
  sinceMs: 0,
  reign: 'a',
  epoch: 1,
  quarantineRemainingMs: 0,
  rollCall: NO_ROLL_CALL,
};

/** What a client reads of a server whose store is like this. */
function told(store: Partial<StoreStatus>, rollCall: Partial<RollCallStatus> = {}): ServerInfo {
  const status = { ...STORE, ...store, rollCall: { ...NO_ROLL_CALL, enabled: true, ...rollCall } };
  return factsOf(
    encodeServerInfo({
      version: '1.0.0',
      instanceId: 'abc',
      store: status,
      maxTtlMs: 30_000,
      defaultTtlMs: 20_000,
      maxMessageBytes: 1_000_000,
      maxPayloadBytes: 32_768,
      minAcks: 0,
      smallestAdvisableTtlMs: undefined,
    }),
  );
}

/** The lines by their names. */
function lines(info: ServerInfo): Record<string, string> {
  const rows = infoText(info).trimEnd().split('\n');
  return Object.fromEntries(rows.map((row) => row.split(/ {2,}/, 2)));
}

test('outside a quarantine it says whether there are roll calls, and nothing else of them', () => {
  const shown = lines(told({}));
  expect(shown).toMatchObject({ serving: 'yes', 'roll call': 'on' });
  for (const name of ['missing', 'full quarantine', 'last quarantine', 'grants again in']) {
    expect(shown).not.toHaveProperty(name);
  }
  expect(lines(told({}, { enabled: false }))).toMatchObject({ 'roll call': 'off' });
  expect(lines(told({ kind: 'memory' }))).not.toHaveProperty('roll call');
});

test('in a quarantine it names who is missing, where, and for how long it was not seen', () => {
  const missing = [
    { instanceId: 'b', host: 'node-2', unseenMs: 12_000 },
    { instanceId: 'c', host: 'node-3', unseenMs: 400 },
  ];
  const info = told(
    { quarantineRemainingMs: 30_000 },
    { fullQuarantineRemainingMs: 30_000, missing, missingCount: 12 },
  );
  expect(lines(info)).toMatchObject({
    missing: 'b on node-2, last seen 12 s ago; c on node-3, last seen 0.4 s ago; and 10 more',
    'full quarantine': '30 s left, which repeats of calls from before it wait for',
    'grants again in': '30 s, or as soon as all instances have answered the roll call',
  });
  expect(info.rollCall).toMatchObject({ missingCount: 12, missingInstances: missing });
  const off = told({ quarantineRemainingMs: 30_000 }, { enabled: false });
  expect(lines(off)).toMatchObject({ 'grants again in': '30 s' });
});

test('a newcomer says when it will answer', () => {
  const info = told({ usable: false }, { newcomerRemainingMs: 17_400 });
  expect(lines(info)).toMatchObject({ serving: 'not yet: it has just registered, and answers in 17 s' });
  expect(lines(told({ usable: false }))).toMatchObject({
    serving: 'no: its store is unavailable at the moment',
  });
});

test('how the last quarantine ended is told with its time, and why it was full', () => {
  const ended = (how: 'early' | 'full', why: string, tookMs: number): ServerInfo =>
    told({}, { lastEnd: { how, why, tookMs } });
  expect(lines(ended('early', '', 612))).toMatchObject({
    'last quarantine': 'ended early, after 0.6 s: all instances had answered',
  });
  const full = ended('full', '1 instance did not answer', 34_000);
  expect(lines(full)).toMatchObject({
    'last quarantine': 'lasted its whole time, 34 s: 1 instance did not answer',
  });
  expect(full.rollCall?.lastQuarantineEnd).toEqual({
    how: 'full',
    why: '1 instance did not answer',
    tookMs: 34_000,
  });
});
