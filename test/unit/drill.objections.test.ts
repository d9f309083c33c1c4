// What keeps a drill from causing a failover, from what Sentinels, the primary and the servers say.
import { expect, test } from 'vitest';
import type { SentinelView } from '../../src/deployment/topology.ts';
import { attachedIn, objectionsTo, type SafetyLook } from '../../src/drill/objections.ts';

const PRIMARY = { host: '10.0.0.1', port: 6379 };
const REPLID = 'abc0123';
const REPLICATION = [
  'role:master',
  'connected_slaves:2',
  'slave0:ip=10.0.0.2,port=6379,state=online,offset=1000,lag=0',
  'slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=0,lag=0',
  `master_replid:${REPLID}`,
  'master_repl_offset:1200',
].join('\r\n');
const SERVING = { serving: true, reign: `4:${REPLID}:3`, quarantineMs: 0 };

interface Row {
  readonly [field: string]: string;
}

function sentinel(primary: Row = {}, replica: Row = {}, others = 2): SentinelView {
  const row = {
    ip: PRIMARY.host,
    port: '6379',
    flags: 'master',
    'config-epoch': '4',
    'failover-timeout': '60000',
    'role-reported-time': '600000',
  };
  const replicas = [
    {
      ip: '10.0.0.2',
      port: '6379',
      flags: 'slave',
      'master-link-status': 'ok',
      'slave-priority': '100',
      ...replica,
    },
  ];
  return {
    address: { host: '10.0.0.9', port: 26379 },
    id: 'x',
    primary: new Map(Object.entries({ ...row, ...primary })),
    replicas: replicas.map((one) => new Map(Object.entries(one))),
    otherSentinels: Array.from({ length: others }, () => new Map()),
    refused: new Map(),
  };
}

function look(
  change: Partial<SafetyLook> = {},
  sentinels = [sentinel(), sentinel(), sentinel()],
): SafetyLook {
  return {
    topology: {
      primary: PRIMARY,
      agreedPrimary: PRIMARY,
      replicas: [{ host: '10.0.0.2', port: 6379 }],
      sentinels,
      silent: [],
    },
    quorumTrouble: undefined,
    replication: { text: REPLICATION },
    servers: new Map([['a:1', SERVING]]),
    ...change,
  };
}

const TRIGGER = { cause: 'trigger', restMs: undefined } as const;

test('There is no objection to a failover of a healthy deployment', () => {
  expect(objectionsTo(look(), TRIGGER)).toEqual([]);
});

test.each<readonly [string, SafetyLook, string, RegExp]>([
  [
    'a minority of the Sentinels',
    look(
      {
        topology: {
          primary: PRIMARY,
          agreedPrimary: undefined,
          replicas: [],
          sentinels: [sentinel()],
          silent: [{ address: { host: 's', port: 1 }, reason: 'refused' }],
        },
      },
      [],
    ),
    'sentinel-majority',
    /^1 of 3 answer \(s:1: refused\)$/,
  ],
  [
    'Sentinels that name different primaries',
    look({}, [sentinel(), sentinel(), sentinel({ ip: '10.0.0.2' })]),
    'one-primary',
    /names 10\.0\.0\.2:6379, and others name 10\.0\.0\.1:6379/,
  ],
  [
    'a failover in progress',
    look({}, [sentinel({ flags: 'master,failover_in_progress' }), sentinel()]),
    'no-failover-in-progress',
    /in progress/,
  ],
  [
    'a primary that is taken for dead',
    look({}, [sentinel({ flags: 's_down,master' }), sentinel()]),
    'primary-up',
    /s_down/,
  ],
  ['a quorum that is out of reach', look({ quorumTrouble: 'NOQUORUM 1 usable' }), 'quorum', /NOQUORUM/],
  [
    'no replica at all',
    look({ replication: { text: 'role:master\r\nmaster_repl_offset:5\r\nmaster_replid:abc0123' } }),
    'replica-ready',
    /no replica follows it/,
  ],
  [
    'a replica that may not be promoted',
    look({}, [sentinel({}, { 'slave-priority': '0' }), sentinel({}, { 'slave-priority': '0' })]),
    'replica-ready',
    /no replica that follows it may be promoted/,
  ],
  [
    'a replica that is down for the Sentinels',
    look({}, [sentinel({}, { flags: 's_down,slave' }), sentinel({}, { flags: 's_down,slave' })]),
    'replica-ready',
    /no replica that follows it/,
  ],
  [
    'a replica that is far behind',
    look({ replication: { text: REPLICATION.replace('offset:1200', 'offset:9000000') } }),
    'replica-ready',
    /8999000 bytes behind/,
  ],
  [
    'a replica that has been silent',
    look({ replication: { text: REPLICATION.replace('offset=1000,lag=0', 'offset=1000,lag=9') } }),
    'replica-ready',
    /heard 9 s ago/,
  ],
  [
    'a failover that was not long ago',
    look({}, [sentinel({ 'role-reported-time': '30000' }), sentinel({ 'role-reported-time': '30000' })]),
    'rest',
    /the primary for 30 s/,
  ],
  ['a server that is away', look({ servers: new Map([['a:1', { reason: 'gone' }]]) }), 'servers', /gone/],
  [
    'a server without a usable primary',
    look({ servers: new Map([['a:1', { ...SERVING, serving: false }]]) }),
    'servers',
    /does not serve/,
  ],
  [
    'servers of another deployment',
    look({ servers: new Map([['a:1', { ...SERVING, reign: '4:other:3' }]]) }),
    'same-deployment',
    /it uses another Redis than 10\.0\.0\.1:6379/,
  ],
  [
    'a server that has just registered',
    look({ servers: new Map([['a:1', { ...SERVING, serving: false, newcomerMs: 17_400 }]]) }),
    'servers',
    /just registered, and answers in 18 s/,
  ],
  [
    'a server in quarantine',
    look({ servers: new Map([['a:1', { ...SERVING, quarantineMs: 2_500 }]]) }),
    'quarantine',
    /another 3 s/,
  ],
])('%s keeps a drill from causing a failover', (_what, seen, check, told) => {
  const objections = objectionsTo(seen, TRIGGER);
  expect(objections).toEqual([expect.objectContaining({ check, seen: expect.stringMatching(told) })]);
  for (const { why, fix } of objections) expect([why, fix].every((text) => text.length > 10)).toBe(true);
});

test('Where the user at the Sentinels lacks a right, the objection names the right and no replica to start', () => {
  const refused = "NOPERM this user has no permissions to run the 'sentinel|ckquorum' command";
  const blind = { ...sentinel(), replicas: [], refused: new Map([['REPLICAS', refused]] as const) };
  const objections = objectionsTo(look({ quorumTrouble: refused }, [blind, blind, blind]), TRIGGER);
  expect(objections.map(({ check, fix }) => [check, fix])).toEqual([
    ['quorum', expect.stringContaining('+sentinel|ckquorum')],
    ['replica-ready', expect.stringContaining('+sentinel|replicas')],
  ]);
});

test.each([
  ["NOPERM this user has no permissions to run the 'info' command", '+info'],
  ['INFO: no reply within 2000 ms', 'why it does not answer'],
])(
  'A primary that says %j to INFO keeps a drill from causing a failover, and the help fits',
  (reason, help) => {
    const objections = objectionsTo(look({ replication: { reason } }), TRIGGER);
    expect(objections).toEqual([
      expect.objectContaining({ check: 'primary', seen: reason, fix: expect.stringContaining(help) }),
    ]);
  },
);

test('Sentinels that the configuration does not list are told from those that do not answer', () => {
  const [objection] = objectionsTo(look({}, [sentinel()]), TRIGGER);
  expect(objection?.seen).toBe('1 of 3 answer, and redis.address lists no other');
});

test('A Sentinel that started a moment ago does not make a long reign young', () => {
  const young = sentinel({ 'role-reported-time': '1000' });
  expect(objectionsTo(look({}, [young, sentinel(), young]), TRIGGER)).toEqual([]);
});

test('--rest replaces twice the failover-timeout, and who only observes needs no rest', () => {
  const recent = look({}, [
    sentinel({ 'role-reported-time': '30000' }),
    sentinel({ 'role-reported-time': '30000' }),
  ]);
  expect(objectionsTo(recent, { cause: 'trigger', restMs: 30_000 })).toEqual([]);
  expect(objectionsTo(recent, { cause: 'trigger', restMs: 30_001 })).toMatchObject([{ check: 'rest' }]);
  expect(objectionsTo(recent, { cause: 'observe', restMs: undefined })).toEqual([]);
});

test('A deployment that has just started, and never failed over, needs no rest', () => {
  const fresh = sentinel({ 'config-epoch': '0', 'role-reported-time': '2000' });
  expect(objectionsTo(look({}, [fresh, fresh, fresh]), TRIGGER)).toEqual([]);
});

test('The replicas of INFO replication are read with their distance', () => {
  expect([...attachedIn(REPLICATION)]).toEqual([
    ['10.0.0.2:6379', { isOnline: true, behindBytes: 200, silentS: 0 }],
    ['10.0.0.3:6379', { isOnline: false, behindBytes: 1_200, silentS: 0 }],
  ]);
});
