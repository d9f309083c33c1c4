// The commands that tell what calls wait for: locks top, locks deadlocks. And what they are made of in the TypeScript
// client.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ended, leasehold } from '../support/cli-rig.ts';
import { eventually } from '../support/eventually.ts';
import { clientTo, started } from '../support/sdk-rig.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');

/** Spans and tokens differ each time. */
const without = (text: string): string =>
  text.replaceAll(/\d+(\.\d+)? (s|min)\b( \d+ s)?/g, '0 s').replaceAll(/\b\d{16}\b/g, '0');

/** What the page shows of a command. */
function shown(command: string): string {
  const [, output] = PAGE.split(`$ leasehold ${command}\n`);
  if (output === undefined) throw new Error(`docs/cli.md doesn't show ${command}`);
  return output.slice(0, output.search(/^(```|\$ )/m));
}

/** Columns are as wide as what stands in them. */
const cells = (text: string): string => without(text).replaceAll(/ {2,}/g, '  ');

test('leasehold locks top and deadlocks print what docs/cli.md shows', { timeout: 60_000 }, async () => {
  const { address } = await started({});
  const quiet = await ended(address, ['locks', 'top']);
  expect(quiet).toMatchObject({ code: 0, stdout: 'No call had to wait for a lock lately (1 server).\n' });
  const none = await ended(address, ['locks', 'deadlocks']);
  expect(none).toMatchObject({ code: 0, stdout: 'No owners wait for each other (1 server).\n' });

  const owners = ['alice@host-1', 'bob@host-2', 'carol@host-3'] as const;
  const [alice, bob, carol] = owners.map((owner) => clientTo(address, { owner }));
  if (!alice || !bob || !carol) throw new Error('three clients');
  const cancel = new AbortController();
  const wait = (client: typeof alice, resource: string) =>
    client.acquire(resource, { signal: cancel.signal, waitMs: 60_000 }).catch(() => undefined);
  const first = await alice.acquire('billing/invoices');
  await bob.acquire('billing/ledger');
  const waits = [wait(alice, 'billing/ledger')];
  const queued = (count: number) =>
    eventually(async () => (await bob.locks.get('billing/ledger')).waiterCount === count, {
      what: `${count} in the queue`,
      withinMs: 10_000,
    });
  await queued(1);
  waits.push(wait(carol, 'billing/ledger'));
  await queued(2);
  waits.push(wait(bob, 'billing/invoices'));
  await eventually(async () => (await bob.locks.get('billing/invoices')).waiterCount === 1, {
    what: 'the last waiter',
    withinMs: 10_000,
  });

  const top = await ended(address, ['locks', 'top', '--limit', '5']);
  expect(top).toMatchObject({ code: 0, stderr: '' });
  expect(cells(top.stdout)).toBe(cells(shown('locks top --limit 5')));
  const deadlocks = await ended(address, ['locks', 'deadlocks']);
  expect(deadlocks).toMatchObject({ code: 1, stderr: '' });
  const command = 'locks deadlocks || echo "exit code $?"';
  expect(`${without(deadlocks.stdout)}exit code 1\n`).toBe(without(shown(command)));

  const topJson = await ended(address, ['locks', 'top', '--json']);
  expect(JSON.parse(topJson.stdout)).toMatchObject({
    locks: [
      { lock: { resource: 'billing/ledger', waiter_count: 2 }, wait_count: 2, wait_error_ms: 0 },
      { lock: { resource: 'billing/invoices' } },
    ],
    window_ms: expect.any(Number),
    server_count: 1,
    oldest_report_ms: 0,
  });
  const json = await ended(address, ['locks', 'deadlocks', '--json']);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    deadlocks: [
      [
        {
          owner: 'alice@host-1',
          held_resource: 'billing/invoices',
          awaited_resource: 'billing/ledger',
          fencing_token: first.fencingToken.toString(),
          waited_ms: expect.any(Number),
          waiting_since: expect.stringMatching(/^\d{4}-.*Z$/),
        },
        { owner: 'bob@host-2', held_resource: 'billing/ledger', awaited_resource: 'billing/invoices' },
      ],
    ],
    partial: false,
    server_count: 1,
  });

  const watch = leasehold(address, ['locks', 'top', '--watch', '500ms', '--json']);
  await eventually(() => watch.stdout.split('\n').length > 3, { what: 'three looks', withinMs: 20_000 });
  watch.signal('SIGINT');
  expect(await watch.exit(5_000)).toBe('SIGINT');
  cancel.abort();
  await Promise.all(waits);
  expect((await ended(address, ['locks', 'deadlocks'])).code).toBe(0);
});
