// The supervisor's rules, with server processes that are only objects and a clock that the test moves: when another
// process replaces one, after which pause, and what ends everything.
import { describe, expect, test } from 'vitest';
import type { Order, Report } from '../../src/supervisor/process-messages.ts';
import type { ProcessEnd, ProcessListener } from '../../src/supervisor/supervised-process.ts';
import { type Failure, Supervisor } from '../../src/supervisor/supervisor.ts';
import { ManualClock } from '../support/manual-clock.ts';

const ADDRESS = { host: '127.0.0.1', port: 7 };

class FakeProcess {
  readonly orders: Order[] = [];
  readonly number: number;
  readonly #listener: ProcessListener;
  killed = false;
  ended = false;

  constructor(number: number, listener: ProcessListener) {
    this.number = number;
    this.#listener = listener;
  }

  report(report: Report): void {
    this.#listener.reported(report);
  }

  serve(port = ADDRESS.port): void {
    this.report({
      report: 'serving',
      address: { ...ADDRESS, port },
      facts: { version: '1', said: this.number },
    });
  }

  alive(ready = true): void {
    this.report({ report: 'alive', ready });
  }

  end(end: Partial<ProcessEnd> = { signal: 'SIGKILL' }): void {
    this.ended = true;
    this.#listener.ended({ code: undefined, signal: undefined, ...end });
  }

  get verbs(): readonly string[] {
    return this.orders.map(({ order }) => order);
  }
}

interface LogLine {
  readonly level: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** `random` is as near to 1 as it can be, so that pauses are the longest possible. */
function rig(processes: number, random = () => 1) {
  const clock = new ManualClock();
  const started: FakeProcess[] = [];
  const lines: LogLine[] = [];
  const ends: number[] = [];
  let ids = 0;
  const write =
    (level: string) =>
    (facts: object, message: string): void => {
      lines.push({ level, facts: { ...facts }, message });
    };
  const supervisor = new Supervisor({
    processes,
    configs: { first: 'first', replacement: 'replacement' },
    startProcess: (number, listener) => {
      const fake = new FakeProcess(number, listener);
      started.push(fake);
      return {
        pid: 1_000 + started.length,
        tell: (order) => fake.orders.push(order),
        kill: () => {
          fake.killed = true;
        },
      };
    },
    newInstanceId: () => `id-${++ids}`,
    clock,
    machineMs: () => 999_000 + clock.monotonicMs(),
    random,
    log: { error: write('error') },
    onEnded: (number) => ends.push(number),
  });
  const failures: Failure[] = [];
  void supervisor.failure.then((failure) => failures.push(failure));
  const serving = supervisor.start();
  /** Moves on, while all that live say so. */
  const passAlive = async (ms: number): Promise<void> => {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
      for (const fake of started) if (!fake.ended) fake.alive();
      await clock.pass(Math.min(1_000, leftMs));
    }
  };
  const server = (index: number): FakeProcess => {
    const found = started[index];
    if (!found) throw new Error(`only ${started.length} processes were started`);
    return found;
  };
  return { clock, passAlive, supervisor, started, server, lines, ends, failures, serving };
}

async function servingRig(processes: number, random?: () => number) {
  const all = rig(processes, random);
  for (const fake of all.started) {
    fake.serve();
    fake.alive();
  }
  await all.serving;
  return all;
}

test('the supervisor starts all server processes at once, and serves when the last one does', async () => {
  const { started, server, serving, clock } = rig(3);
  expect(started.map(({ number }) => number)).toEqual([1, 2, 3]);
  expect(started.map(({ orders }) => orders)).toEqual(
    started.map(({ number }) => [
      {
        order: 'serve',
        config: 'first',
        replaces: false,
        instanceId: `id-${number}`,
        group: ['id-1', 'id-2', 'id-3'],
      },
    ]),
  );
  let resolved = false;
  void serving.then(() => {
    resolved = true;
  });
  server(2).serve();
  server(0).serve();
  await clock.pass(1);
  expect(resolved).toBe(false);
  server(1).serve();
  expect(await serving).toMatchObject({ address: ADDRESS, facts: { said: 3 } });
});

test('a server process that fails at the start fails for good: the others are ended, and the reason is told once', async () => {
  const { server, failures, clock, ends } = rig(3);
  server(1).serve();
  server(0).report({ report: 'failed', message: 'the port is taken' });
  server(2).report({ report: 'failed', message: 'the port is taken' });
  server(0).end({ code: 1 });
  server(2).end({ code: 1 });
  await clock.pass(1);
  expect(server(1).verbs).toEqual(['serve', 'drain']);
  expect(failures).toEqual([]); // not before the last one has ended
  server(1).end({ code: 0 });
  await clock.pass(1);
  expect(failures).toEqual([{ kind: 'failed', message: 'the port is taken' }]);
  expect(ends).toEqual([1]);
});

test('a server process that ends at the start without a report is reported with its signal', async () => {
  const { server, failures, clock } = rig(2);
  server(1).serve();
  server(0).end({ signal: 'SIGSEGV' });
  server(1).end({ code: 0 });
  await clock.pass(1);
  expect(failures).toEqual([{ kind: 'failed', message: 'worker 1 has ended before all served (SIGSEGV)' }]);
});

test('a server process that ends later is replaced after a pause, which grows with each end in a row', async () => {
  const { clock, passAlive, started, lines, ends, failures } = await servingRig(2);
  const pauses = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
  for (const [index, pauseMs] of pauses.entries()) {
    started.at(-1)?.end();
    const before = started.length;
    await passAlive(pauseMs - 1);
    expect(started).toHaveLength(before);
    await clock.pass(1);
    expect(started).toHaveLength(before + 1);
    expect(started.at(-1)?.orders).toMatchObject([{ order: 'serve', config: 'replacement', replaces: true }]);
    expect(lines.at(-1)).toMatchObject({
      level: 'error',
      message: 'a worker has ended; another takes its place',
      facts: { worker: 2, how: 'SIGKILL', inARow: index + 1, pauseMs },
    });
    started.at(-1)?.serve();
  }
  expect(ends).toEqual(pauses.map(() => 2));
  expect(failures).toEqual([]);
});

describe('the heir of a dead server process', () => {
  test('it goes on with the instance id, and knows when the dead one died and from when that could answer', async () => {
    const { clock, started, server } = await servingRig(2);
    server(1).report({ report: 'standing', tellsFromMs: 1_017_500 });
    await clock.pass(3_000);
    server(1).end();
    await clock.pass(500);
    expect(started.at(-1)?.orders).toEqual([
      {
        order: 'serve',
        config: 'replacement',
        replaces: true,
        instanceId: 'id-2',
        group: ['id-1', 'id-2'],
        inheritance: { diedAtMs: 1_003_000, tellsFromMs: 1_017_500 },
      },
    ]);
    // One that dies before it has said how it stands leaves what it inherited.
    started.at(-1)?.end({ code: 1 });
    await clock.pass(1_000);
    expect(started.at(-1)?.orders).toMatchObject([
      { instanceId: 'id-2', inheritance: { diedAtMs: 1_003_500, tellsFromMs: 1_017_500 } },
    ]);
  });

  test('if the dead one was about to register, nobody knows from when it could answer', async () => {
    const { clock, started, server } = await servingRig(2);
    server(1).report({ report: 'standing', tellsFromMs: 1_000_000 });
    server(1).report({ report: 'standing' });
    server(1).end();
    await clock.pass(500);
    expect(started.at(-1)?.orders).toMatchObject([
      { instanceId: 'id-2', inheritance: { diedAtMs: 1_000_000, tellsFromMs: undefined } },
    ]);
  });

  test('one that ended in order has no heir: what takes its place is a new instance', async () => {
    const { clock, started, server } = await servingRig(2);
    server(1).report({ report: 'standing', tellsFromMs: 1_000_000 });
    server(1).end({ code: 0 });
    await clock.pass(500);
    const [order] = started.at(-1)?.orders ?? [];
    expect(order).toMatchObject({ replaces: true, instanceId: 'id-3', group: ['id-1', 'id-3'] });
    expect(order).not.toHaveProperty('inheritance.diedAtMs');
    // And what it leaves is its own.
    started.at(-1)?.end();
    await clock.pass(1_000);
    expect(started.at(-1)?.orders).toMatchObject([
      { instanceId: 'id-3', inheritance: { tellsFromMs: undefined } },
    ]);
  });
});

test('a minute of service makes the next end of a server process a first one', async () => {
  const { clock, passAlive, started, server, lines } = await servingRig(2);
  server(1).end();
  await clock.pass(500);
  started.at(-1)?.serve();
  await passAlive(60_000);
  started.at(-1)?.end({ code: 1 });
  expect(lines.at(-1)?.facts).toMatchObject({ worker: 2, how: 'code 1', inARow: 1, pauseMs: 500 });
});

test('the pause before a replacement has full jitter', async () => {
  const { clock, started, server } = await servingRig(2, () => 0);
  server(1).end();
  await clock.pass(0);
  expect(started).toHaveLength(3);
});

test('a replacement that cannot begin to serve is tried again, and the reason is logged', async () => {
  const { clock, started, server, lines, failures } = await servingRig(2);
  server(1).end();
  await clock.pass(500);
  started.at(-1)?.report({ report: 'failed', message: 'no such file: server.crt' });
  started.at(-1)?.end({ code: 1 });
  expect(lines.at(-1)?.facts).toMatchObject({ reason: 'no such file: server.crt', inARow: 2 });
  await clock.pass(1_000);
  expect(started).toHaveLength(4);
  expect(failures).toEqual([]);
});

test('a server process that refuses to serve ends all in order, at any time', async () => {
  const { clock, started, server, failures } = await servingRig(2);
  server(1).end();
  await clock.pass(500);
  started.at(-1)?.serve();
  started.at(-1)?.report({ report: 'refused', reason: 'it evicts' });
  started.at(-1)?.end({ code: 1 });
  expect(server(0).verbs).toEqual(['serve', 'drain']);
  await clock.pass(60_000);
  expect(started).toHaveLength(3);
  expect(failures).toEqual([]);
  server(0).end({ code: 0 });
  await clock.pass(1);
  expect(failures).toEqual([{ kind: 'refused', reason: 'it evicts' }]);
});

test('when no server process is left, the supervisor fails at once and replaces none', async () => {
  const { clock, started, server, failures } = await servingRig(2);
  server(0).end();
  server(1).end({ code: 1 });
  await clock.pass(60_000);
  expect(started).toHaveLength(2);
  expect(failures).toEqual([
    { kind: 'failed', message: 'no worker is left; the last was worker 2 (code 1)' },
  ]);
});

test('a replacement that gets another port ends all: no client knows that port', async () => {
  const { clock, started, server, failures } = await servingRig(2);
  server(0).end();
  await clock.pass(500);
  started.at(-1)?.serve(8);
  expect(server(1).verbs).toEqual(['serve', 'drain']);
  server(1).end({ code: 0 });
  started.at(-1)?.end({ code: 0 });
  await clock.pass(1);
  expect(failures).toEqual([{ kind: 'failed', message: '127.0.0.1:7 is gone: it would be 127.0.0.1:8 now' }]);
});

test('the supervisor is ready when every server process that takes connections is', async () => {
  const { supervisor, clock, started, server } = await servingRig(2);
  expect(supervisor.ready()).toBe(true);
  server(1).alive(false);
  expect(supervisor.ready()).toBe(false);
  server(1).end();
  expect(supervisor.ready()).toBe(true);
  expect(supervisor.serving()).toEqual([
    { number: 1, serving: true },
    { number: 2, serving: false },
  ]);
  await clock.pass(500);
  expect(supervisor.ready()).toBe(true);
  started.at(-1)?.serve();
  expect(supervisor.ready()).toBe(false);
  started.at(-1)?.alive();
  expect(supervisor.ready()).toBe(true);
  void supervisor.stop();
  expect(supervisor.ready()).toBe(false);
});

test('a server process that is silent for 20 looks is killed; one that is only late is not', async () => {
  const { clock, server, lines } = await servingRig(2);
  for (let look = 0; look < 19; look++) {
    await clock.pass(1_000);
    server(0).alive();
  }
  expect(server(1).killed).toBe(false);
  server(1).alive();
  for (let look = 0; look < 20; look++) {
    expect(server(1).killed).toBe(false);
    await clock.pass(1_000);
    server(0).alive();
  }
  expect([server(0).killed, server(1).killed]).toEqual([false, true]);
  expect(lines.at(-1)).toMatchObject({ level: 'error', facts: { worker: 2, workerPid: 1_002 } });
});

test('a stop drains all server processes at once, replaces none, and tells whether each ended well', async () => {
  for (const [end, inOrder] of [
    [{ code: 0 }, true],
    [{ code: 1 }, false],
    [{ signal: 'SIGKILL' }, false],
  ] as const) {
    const { supervisor, clock, started, server, failures, ends } = await servingRig(2);
    const stopped = supervisor.stop();
    expect([server(0).verbs, server(1).verbs]).toEqual([
      ['serve', 'drain'],
      ['serve', 'drain'],
    ]);
    server(0).end({ code: 0 });
    server(1).end(end);
    expect(await stopped).toBe(inOrder);
    await clock.pass(60_000);
    expect([started.length, failures, ends]).toEqual([2, [], []]);
  }
});

test('a supervisor that stops during the pause before a replacement starts none', async () => {
  const { supervisor, clock, started, server } = await servingRig(2);
  server(0).end();
  const stopped = supervisor.stop();
  server(1).end({ code: 0 });
  expect(await stopped).toBe(true);
  await clock.pass(60_000);
  expect(started).toHaveLength(2);
});

test('metrics come from the server processes that answer in time', async () => {
  const { supervisor, clock, server } = await servingRig(3);
  const asked = supervisor.metricsTexts();
  for (const index of [0, 2]) {
    const order = server(index).orders.at(-1);
    if (order?.order !== 'tell metrics') throw new Error('not asked');
    server(index).report({ report: 'metrics', question: order.question, text: `of ${index}` });
  }
  await clock.pass(1_000);
  expect(await asked).toEqual(['of 0', 'of 2']);
});

test('all server processes read the tokens again', async () => {
  const { supervisor, server } = await servingRig(2);
  supervisor.reloadTokens();
  expect([server(0).verbs.at(-1), server(1).verbs.at(-1)]).toEqual(['reload tokens', 'reload tokens']);
});
