#!/usr/bin/env node
// The process `leasehold`: gives the command line (src/cli) what only a process has, and the server, which is loaded only
// when it is asked for, so that a client command starts quickly.

import { runProgram } from './cli/program.ts';
import { packageInfo } from './package-info.ts';

await runProgram(process.argv.slice(2), {
  version: packageInfo().version,
  env: process.env,
  serve: async (options) => (await import('./server/serve-process.ts')).serveProcess(options),
});
