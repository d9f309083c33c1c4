#!/usr/bin/env node
// The process `leasehold`: hands the command line (src/cli) what only the process has, and the server, which is loaded
// when it is asked for and not before: a client command shall start quickly.

import { runProgram } from './cli/program.ts';
import { packageInfo } from './package-info.ts';

await runProgram(process.argv.slice(2), {
  version: packageInfo().version,
  env: process.env,
  serve: async (options) => (await import('./server/serve-process.ts')).serveProcess(options),
});
