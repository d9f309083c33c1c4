// `npm run test:rules`: each safety rule has a test that passes, and that fails when the rule is taken out of the
// product. It runs each test of test/chaos/teeth/rules.ts once as it is and once with the rule's mutant, and prints the
// matrix. It takes some minutes; `npm run test:rules -- mark confirmation` tries those two mutants only.
// Exit codes: 0 every test notices that its rule is missing; 1 one does not; 2 there is no such rule.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, VARIABLE } from '../test/chaos/teeth/mutant.ts';
import { RULES, type Rule } from '../test/chaos/teeth/rules.ts';

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

const chosen = process.argv.slice(2);
const rules = RULES.filter(({ without }) => chosen.length === 0 || chosen.includes(without));
const unknown = chosen.filter((name) => !RULES.some(({ without }) => without === name));
if (unknown.length > 0) {
  console.error(`no rule has a mutant called ${unknown.join(', ')}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'leasehold-rules-'));
try {
  process.exitCode = (await main()) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<boolean> {
  const asItIs = await resultsOf(rules, undefined);
  let all = true;
  for (const rule of rules) {
    const before = asItIs(rule);
    const after = before === 'passed' ? (await resultsOf([rule], rule.without))(rule) : 'not run';
    const isFound = before === 'passed' && after === 'failed';
    all &&= isFound;
    const test = `${rule.file.slice('test/'.length)}: ${rule.test}`;
    console.log(`${isFound ? 'found ' : 'MISSED'} ${rule.without.padEnd(32)} ${rule.rule}`);
    console.log(`       ${''.padEnd(32)} ${test} (as it is: ${before}; without: ${after})`);
  }
  console.log(
    `${rules.length} rules; ${all ? 'each test notices that its rule is missing' : 'some tests have no teeth'}`,
  );
  return all;
}

/** Runs the tests of these rules at once. Returns how each ended. */
async function resultsOf(of: readonly Rule[], without: string | undefined): Promise<(rule: Rule) => string> {
  const outputFile = join(folder, `${without ?? 'as-it-is'}.json`);
  const files = [...new Set(of.map(({ file }) => file))];
  const names = [...new Set(of.map(({ test }) => escaped(test)))].join('|');
  const { [VARIABLE]: _none, ...environment } = process.env;
  const args = ['run', '--reporter=json', `--outputFile=${outputFile}`, '-t', names, ...files];
  const child = spawn(join(ROOT, 'node_modules/.bin/vitest'), args, {
    cwd: ROOT,
    env: without ? { ...environment, [VARIABLE]: without } : environment,
    stdio: 'ignore',
  });
  await once(child, 'exit');
  // What vitest's JSON reporter writes.
  const report = JSON.parse(readFileSync(outputFile, 'utf8')) as Report;
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  return ({ test }) => {
    const name = test.replaceAll(' > ', ' '); // The report joins names with spaces.
    const own = results.filter(({ fullName, status }) => fullName.includes(name) && status !== 'skipped');
    const states = new Set(own.map(({ status }) => status));
    if (own.length === 0) return 'no such test';
    return states.has('failed') ? 'failed' : [...states].join(', ');
  };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
