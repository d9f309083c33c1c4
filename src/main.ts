#!/usr/bin/env node
// The process `leasehold`: gives the command line (src/cli) what only a process has, and the server, which is loaded only
// when it is asked for, so that a client command starts quickly.
//
// An old Node.js must read this file and node-version.ts to say that it is too old. So both load everything else later,
// and there is no `await` outside a function.

import { nodeVersionProblem } from './node-version.ts';

const EXIT_USAGE = 2;
const args = process.argv.slice(2);
const problem = nodeVersionProblem(process.versions.node);
if (problem === undefined) void start();
else void refuse(problem);

async function start(): Promise<void> {
  const { runProgram } = await import('./cli/program.ts');
  const { packageInfo } = await import('./package-info.ts');
  await runProgram(args, {
    version: packageInfo().version,
    env: process.env,
    serve: async (options) => (await import('./server/serve-process.ts')).serveProcess(options),
  });
}

async function refuse(why: string): Promise<void> {
  process.exitCode = EXIT_USAGE;
  process.stderr.write(`leasehold ${why}\n`);
  const { failureForShell } = await import('./cli/shell-text.ts');
  failureForShell(args)(EXIT_USAGE);
}
