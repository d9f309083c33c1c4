// How long the client core gives a try, and when it stops trying: with a clock that a test moves, and servers that are
// functions.
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import { Channel } from '../../src/client/core/channel.ts';
import { callUnary, type Invoke, type UnaryOptions } from '../../src/client/core/unary-call.ts';
import { TimerGroup } from '../../src/domain/timer-group.ts';
import { ManualClock } from '../support/manual-clock.ts';

function failed(code: status, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

/** A call to instances of which each does with a try what `server` says; what the caller got, and after how long. */
async function called(
  instances: number,
  server: (withinMs: number) => { readonly afterMs: number; readonly error?: ServiceError },
  options: Omit<UnaryOptions, 'deadlineMs'> & { readonly wholeMs: number; readonly jitter?: number },
) {
  const { wholeMs, jitter = 0, ...more } = options;
  const clock = new ManualClock();
  const addresses = Array.from({ length: instances }, (_, index) => `127.0.0.1:${index + 1}`);
  const channel = new Channel({
    addresses,
    credentials: credentials.createInsecure(),
    clock,
    random: () => jitter,
  });
  onTestFinished(() => channel.close());
  const triedForMs: number[] = [];
  const invoke: Invoke<string> = ({ locks }, _metadata, { deadline }, callback) => {
    const withinMs = Math.round(Number(deadline) - clock.wallMs());
    triedForMs.push(withinMs);
    const { afterMs, error } = server(withinMs);
    const answer = (): void => callback(error ?? null, 'answered');
    const late = (): void => callback(failed(status.DEADLINE_EXCEEDED, 'Deadline exceeded'), '');
    clock.after(Math.min(afterMs, withinMs), afterMs <= withinMs ? answer : late);
    return { cancel() {} } as ReturnType<typeof locks.getLock>; // nothing else of it is used
  };
  const startedMs = clock.monotonicMs();
  const ended = callUnary(channel, invoke, { deadlineMs: startedMs + wholeMs, ...more }).then(
    ({ response }) => ({ outcome: response as unknown, tookMs: clock.monotonicMs() - startedMs }),
    (error: unknown) => ({ outcome: error, tookMs: clock.monotonicMs() - startedMs }),
  );
  await clock.pass(10 * wholeMs);
  return { ...(await ended), triedForMs };
}

const refused = () => ({ afterMs: 0, error: failed(status.UNAVAILABLE, 'No connection established.') });

test('Each try of a call that was not answered has twice the time of the one before', async () => {
  const { outcome, triedForMs } = await called(1, () => ({ afterMs: 50_000 }), { wholeMs: 30_000 });
  expect(outcome).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  expect(triedForMs).toEqual([3_000, 6_000, 12_000, 9_000]);
});

test('A call over a link with a round trip of 5 s is answered within the usual 10 s', async () => {
  const { outcome, tookMs } = await called(1, () => ({ afterMs: 5_000 }), { wholeMs: 10_000 });
  expect([outcome, tookMs]).toEqual(['answered', 8_000]);
});

test('A call that asks once goes to each instance, and gives up after a second where none listens', async () => {
  const { outcome, tookMs, triedForMs } = await called(3, refused, {
    wholeMs: 10_000,
    asksOnce: true,
    jitter: 0.5,
  });
  expect(outcome).toBeInstanceOf(CallError);
  expect(triedForMs.length).toBeGreaterThanOrEqual(3);
  expect(tookMs).toBeLessThanOrEqual(1_000);
});

test('A call that asks once gives each instance its time, also where the first one hangs', async () => {
  let asked = 0;
  const hangsFirst = () => ({ afterMs: asked++ === 0 ? 50_000 : 4_000 });
  const { outcome, tookMs } = await called(2, hangsFirst, { wholeMs: 10_000, asksOnce: true });
  expect([outcome, tookMs]).toEqual(['answered', 7_000]);
  const all = await called(2, () => ({ afterMs: 50_000 }), { wholeMs: 60_000, asksOnce: true });
  expect(all.triedForMs).toEqual([3_000, 6_000]);
});

test('The timers of a group that is cancelled never fire, and those of one that is let go do', () => {
  const clock = new ManualClock();
  const [cancelled, letGo] = [new TimerGroup(clock), new TimerGroup(clock)];
  const fired: string[] = [];
  for (const [name, group] of Object.entries({ cancelled, letGo })) group.after(5, () => fired.push(name));
  cancelled.cancel();
  letGo.letGo();
  for (const [name, group] of Object.entries({ cancelled, letGo }))
    group.after(6, () => fired.push(`${name} later`));
  clock.advance(10);
  expect(fired).toEqual(['letGo', 'letGo later']);
});
