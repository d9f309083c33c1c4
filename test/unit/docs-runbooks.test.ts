// docs/runbooks.md against what it is about: every alert has its paragraph and the reverse, and every metric, command
// and option in it exists. What it says to Redis and to Sentinels is tried in runbook-commands.test.ts.
import type { Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { programOf } from '../../src/cli/program.ts';
import { metricCatalogue } from '../support/metric-catalogue.ts';
import { alertRules } from '../support/monitoring-files.ts';
import { commandsIn, RUNBOOKS } from '../support/runbook-commands.ts';

const program = programOf({ own: [], command: undefined }, { version: '', env: {}, serve: async () => {} });

/** What is wrong with a command; undefined if nothing is. */
function fault([, ...words]: readonly string[]): string | undefined {
  let command: Command = program;
  let path = '';
  const left = [...words];
  for (;;) {
    const next = command.commands.find((one) => one.name() === left[0]);
    if (next === undefined) break;
    command = next;
    path = `${path} ${left.shift()}`.trim();
  }
  if (command.commands.length > 0) return `there is no command ${`${path} ${left[0] ?? ''}`.trim()}`;
  let argumentCount = 0;
  for (let word = left.shift(); word !== undefined && word !== '--'; word = left.shift()) {
    if (!word.startsWith('-')) {
      argumentCount += 1;
      continue;
    }
    const option: Option | undefined = command.options.find(
      ({ long, short }) => long === word || short === word,
    );
    if (option === undefined) return `${path} has no option ${word}`;
    if (option.required && left.shift() === undefined) return `${path} ${word} needs a value`;
  }
  const { registeredArguments: wanted } = command;
  const isEnough = argumentCount >= wanted.filter(({ required }) => required).length;
  if (!isEnough) return `${path} needs ${wanted.map((one) => one.name()).join(' ')}`;
  const takesAny = wanted.some(({ variadic }) => variadic);
  return takesAny || argumentCount <= wanted.length ? undefined : `${path} takes ${wanted.length} arguments`;
}

test.for([
  ['leasehold locks show orders', undefined],
  ['leasehold locks show', 'locks show needs resource'],
  ['leasehold locks shwo orders', 'there is no command locks shwo'],
  ['leasehold locks show orders --quickly', 'locks show has no option --quickly'],
  ['leasehold locks force-release orders --reason "it is gone" --immediate', undefined],
  ['leasehold info orders', 'info takes 0 arguments'],
] as const)('of %s, the fault is found: %s', ([line, expected]) => {
  const [command = []] = commandsIn(`\`${line}\``, ['leasehold']);
  expect(fault(command)).toBe(expected);
});

test('Every alert has its paragraph in the runbooks, and every paragraph on an alert has its alert', () => {
  const paragraphs = [...RUNBOOKS.matchAll(/^### (Leasehold\w+)$/gm)].map(([, name = '']) => name);
  const rules = alertRules();
  expect(paragraphs.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
  expect(rules.map(({ annotations }) => annotations.runbook)).toEqual(
    rules.map(({ alert }) => `docs/runbooks.md#${alert.toLowerCase()}`),
  );
});

test('Every paragraph on an alert says what it means, how to check, and what to do', () => {
  const sections = RUNBOOKS.split(/^##+ /m).filter((section) => section.startsWith('Leasehold'));
  expect(sections.length).toBeGreaterThan(30);
  for (const section of sections)
    for (const part of ['**Means.** ', '**Check.**', '**Do.** '])
      expect(section.split(`\n${part}`).length, `${section.split('\n')[0]}: ${part}`).toBe(2);
});

test('Every metric in the runbooks is in docs/metrics.md', async () => {
  const catalogue = await metricCatalogue();
  const named = [...RUNBOOKS.matchAll(/`(leasehold_\w+)/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !catalogue.has(name))).toEqual([]);
});

test('Every leasehold command in the runbooks exists, with its options and arguments', () => {
  const commands = commandsIn(RUNBOOKS, ['leasehold']);
  expect(commands.length).toBeGreaterThan(20);
  expect(commands.map(fault).filter((found) => found !== undefined)).toEqual([]);
});
