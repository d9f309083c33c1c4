// Renews the examples of docs/capacity.md after the figures have changed: runs the command of each, and puts what it
// prints in place of what it printed before. A test compares the two.
//
//   node bench/capacity-examples.ts
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs/capacity.md');
/** A command, which may go on over lines that end with a backslash, and what it prints. */
const EXAMPLE = /^```text\n\$ leasehold (capacity(?:[^\n]*\\\n)*[^\n]*)\n([\s\S]*?)^```$/gm;
/** Stands for the rest of the lines. */
const LEFT_OUT = '…\n';

export interface Example {
  readonly command: string;
  readonly args: readonly string[];
  readonly output: string;
}

export function examplesOf(page: string): readonly Example[] {
  return [...page.matchAll(EXAMPLE)].map(([, command = '', output = '']) => ({
    command: `leasehold ${argumentsOf(command).join(' ')}`,
    args: argumentsOf(command),
    output,
  }));
}

/** What an example shows of the output of its command: all of it, or what is before the first section. */
export function shownOf({ output: before }: Pick<Example, 'output'>, output: string): string {
  if (!before.endsWith(LEFT_OUT)) return output;
  return `${output.slice(0, output.indexOf('\nMemory of Redis'))}${LEFT_OUT}`;
}

/** @returns how many there are. */
export async function renewExamples(): Promise<number> {
  const page = readFileSync(PAGE, 'utf8');
  let count = 0;
  const renewed = page.replaceAll(EXAMPLE, (_all, command: string, before: string) => {
    count++;
    const args = argumentsOf(command);
    // The figures may have been written by this very process, so they are read by another.
    const { stdout } = spawnSync(process.execPath, [join(ROOT, 'src/main.ts'), ...args], {
      encoding: 'utf8',
    });
    return `\`\`\`text\n$ leasehold ${command}\n${shownOf({ output: before }, stdout)}\`\`\``;
  });
  writeFileSync(PAGE, renewed);
  return count;
}

function argumentsOf(command: string): readonly string[] {
  return command.split(/\s*\\\n\s*|\s+/);
}

if (import.meta.main) console.log(`${await renewExamples()} examples renewed`);
