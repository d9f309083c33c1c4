// The messages on their way to a client that reads slowly or never: they are bounded, only the newest of a slot is
// kept, none without a slot is lost, and they stay in order.

import { expect, test } from 'vitest';
import { Outbox } from '../../src/transport/stream.ts';

function blockedSink() {
  const written: string[] = [];
  const passOn: (() => void)[] = [];
  const outbox = new Outbox<string>({
    write(message, passedOn) {
      written.push(message);
      passOn.push(passedOn);
    },
  });
  return { written, outbox, read: () => passOn.shift()?.() };
}

test('a client that never reads holds one message of each slot, however many are sent', () => {
  const { outbox, written } = blockedSink();
  for (let i = 0; i < 1_000; i++) outbox.send(`renewed ${i}`, `renewed ${i % 4}`);
  expect(written).toEqual(['renewed 0']);
  expect(outbox.unsent).toBe(4);
});

test('a client that reads again gets the newest of each slot, last, and everything without a slot', () => {
  const { outbox, written, read } = blockedSink();
  outbox.send('queued 2', 'queued');
  outbox.send('queued 1', 'queued');
  outbox.send('granted');
  outbox.send('renewed 1', 'renewed');
  outbox.send('draining');
  outbox.send('renewed 2', 'renewed');
  outbox.send('lost');
  for (let i = 0; i < 10; i++) read();
  expect(written).toEqual(['queued 2', 'queued 1', 'granted', 'draining', 'renewed 2', 'lost']);
});

test('a client that reads gets every message', () => {
  const { outbox, written, read } = blockedSink();
  for (let i = 0; i < 5; i++) {
    outbox.send(`renewed ${i}`, 'renewed');
    read();
  }
  expect(written).toHaveLength(5);
  expect(outbox.unsent).toBe(0);
});

test('at the end of a stream the rest goes out at once', () => {
  const { outbox, written } = blockedSink();
  for (const message of ['a', 'b', 'lost']) outbox.send(message);
  outbox.flushAll();
  expect(written).toEqual(['a', 'b', 'lost']);
});
