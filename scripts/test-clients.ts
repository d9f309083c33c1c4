// `npm run test:clients`: plays the scenarios of clients/conformance in every language whose toolchain is installed,
// against real servers, and prints a table of scenarios and languages. Exit codes: 0 all passed, 1 something failed.
//
//   --only python,go    plays these languages only
//   --scenario cut      plays only scenarios whose name contains this
//   --no-build          uses what was built before, and leaves out the clients' own tests
//   --no-tests          leaves out the clients' own tests (units, types, the quickstart of their README)
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatHostPort } from '../src/domain/host-port.ts';
import { ServerProcess } from '../test/support/server-process.ts';
import { type Needs, readScenarios, type Scenario } from './test-clients/client-scenario.ts';
import { LANGUAGES, type Language } from './test-clients/languages.ts';
import { LeftOut, play } from './test-clients/play.ts';
import { Runner } from './test-clients/runner.ts';
import { Surroundings } from './test-clients/surroundings.ts';

type Outcome = 'ok' | 'FAILED' | '–';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    scenario: { type: 'string', default: '' },
    'no-build': { type: 'boolean', default: false },
    'no-tests': { type: 'boolean', default: false },
  },
});
const scenarios = readScenarios(join(import.meta.dirname, '../clients/conformance')).filter(({ name }) =>
  name.includes(options.scenario),
);
if (scenarios.length === 0) throw new Error(`--scenario: no scenario's name contains "${options.scenario}"`);

const notes: string[] = [];
const outcomes = new Map<string, Map<string, Outcome>>();
let failures = 0;
let passes = 0;

function wanted(): Language[] {
  const names = options.only?.split(',') ?? LANGUAGES.map(({ name }) => name);
  const unknown = names.filter((name) => !LANGUAGES.some((language) => language.name === name));
  if (unknown.length > 0) throw new Error(`--only: there is no client in ${unknown.join(', ')}`);
  return LANGUAGES.filter(({ name }) => names.includes(name)).filter((language) => {
    const missing = language.missing();
    if (missing !== undefined) notes.push(`left out: ${language.name}, because ${missing}`);
    return missing === undefined;
  });
}

/** A failover changes a deployment for good, so each play of such a scenario gets its own. */
const isSpent = (needs: Needs): boolean => needs === 'sentinel';

async function playAll(language: Language): Promise<void> {
  const column = new Map<string, Outcome>();
  outcomes.set(language.name, column);
  console.log(`${language.name}:`);
  try {
    if (!options['no-build']) await prepare(language);
  } catch (error) {
    failures += 1;
    const said = `its build or its own tests: ${error instanceof Error ? error.message : error}`;
    console.log(`  FAILED  ${said}`);
    notes.push(`${language.name}: no scenario was played, because of ${said}`);
    return;
  }
  const groups = [
    ...scenarios.filter(({ beside }) => beside).map((scenario) => [scenario]),
    scenarios.filter(({ beside }) => !beside),
  ];
  await Promise.all(groups.map((group) => playGroup(language, group, column)));
}

/** Plays some scenarios one after the other, with surroundings of their own. */
async function playGroup(
  language: Language,
  group: readonly Scenario[],
  column: Map<string, Outcome>,
): Promise<void> {
  const standing = new Map<Needs, Surroundings>();
  try {
    for (const scenario of group) {
      let outcome = await playWith(standing, language, scenario, 1);
      // A scenario may starve once on a busy machine: that is reported. Failing twice is a failure.
      if (outcome === 'FAILED') {
        outcome = await playWith(standing, language, scenario, 2);
        if (outcome === 'ok')
          notes.push(`${language.name}: "${scenario.name}" passed only when it was played again`);
      }
      column.set(scenario.name, outcome);
      if (outcome === 'FAILED') failures += 1;
      if (outcome === 'ok') passes += 1;
    }
  } finally {
    for (const surroundings of standing.values()) await surroundings.stop();
  }
}

async function playWith(
  standing: Map<Needs, Surroundings>,
  language: Language,
  scenario: Scenario,
  time: number,
): Promise<Outcome> {
  const { needs } = scenario;
  const surroundings = standing.get(needs) ?? (await Surroundings.start(needs));
  standing.set(needs, surroundings);
  const outcome = await playOne(language, scenario, surroundings, time);
  // A failed scenario may leave anything behind, and the next one needs clean surroundings.
  if (isSpent(needs) || outcome === 'FAILED') {
    standing.delete(needs);
    await surroundings.stop();
  } else await surroundings.repair();
  return outcome;
}

/** The clients' own tests find a server in LEASEHOLD_TEST_ADDRESS. */
async function prepare(language: Language): Promise<void> {
  if (options['no-tests']) return language.prepare();
  const server = await ServerProcess.start({ environment: {} });
  try {
    language.prepare(formatHostPort(server.address));
  } finally {
    await server.kill();
  }
}

async function playOne(
  { name, runner: command }: Language,
  scenario: Scenario,
  surroundings: Surroundings,
  time: number,
): Promise<Outcome> {
  const startedMs = performance.now();
  const runner = new Runner(command);
  const prefix = `${scenario.name.replace(/[^a-z0-9]+/gi, '-')}/${time}/`;
  let outcome: Outcome = 'ok';
  let said = '';
  try {
    await play({ runner, surroundings, scenario, prefix });
  } catch (error) {
    outcome = error instanceof LeftOut ? '–' : 'FAILED';
    said = error instanceof Error ? error.message : String(error);
  }
  try {
    await runner.end();
  } catch (error) {
    outcome = 'FAILED';
    said ||= error instanceof Error ? error.message : String(error);
  }
  const tookS = ((performance.now() - startedMs) / 1_000).toFixed(1);
  console.log(`  ${outcome.padEnd(6)}  ${scenario.name} (${tookS} s)${said ? `: ${said}` : ''}`);
  if (outcome === 'FAILED' && runner.log) console.log(runner.log.replace(/^/gm, '          '));
  if (outcome === '–') notes.push(`left out: "${scenario.name}" in ${name}, because ${said}`);
  return outcome;
}

function table(): string {
  const names = [...outcomes.keys()];
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  const row = (first: string, cells: readonly string[]): string =>
    [first.padEnd(width), ...cells.map((cell, index) => cell.padEnd(names[index]?.length ?? 0))]
      .join('  ')
      .trimEnd();
  const rows = scenarios.map(({ name }) =>
    row(
      name,
      names.map((language) => outcomes.get(language)?.get(name) ?? '–'),
    ),
  );
  return [row('', names), ...rows].join('\n');
}

for (const language of wanted()) await playAll(language);
console.log(`\n${table()}\n`);
for (const note of notes) console.log(note);
console.log(`${passes} passed, ${failures} failed`);
// Everything that was started has been stopped above, so a handle that is still open must not keep the process alive.
process.exit(failures === 0 ? 0 : 1);
