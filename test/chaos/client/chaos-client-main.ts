// One client process of a chaos run: several loops side by side that take locks and run operations as the clients of a
// deployment do, and write down what they asked, heard and believed. It judges nothing.
//
//   node test/chaos/client/chaos-client-main.ts '{"name": "client-1", "servers": ["127.0.0.1:50051"], …}'
//
// SIGTERM ends it in an orderly way: it gives back what it holds, and the exit code is 0. An error that isn't an answer
// of a server is a defect, and ends it with the exit code 1.

import { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import { calmLoop, doubtLoop, insistLoop } from './directed-loops.ts';
import { GuardClient } from './guard-client.ts';
import { holdLoop, leaderLoop, manyLoop, permitsLoop, sharedLoop, unaryLoop } from './lock-loops.ts';
import { beginLoop, readLoop, workLoop } from './operation-loops.ts';
import { Recorder } from './recorder.ts';
import { type Role, rolesOf } from './roles.ts';
import { watchLoop } from './watching-loop.ts';

export interface ChaosClientArguments {
  readonly name: string;
  /** "host:port" of each. */
  readonly servers: readonly string[];
  /** The socket of the guarded resource. */
  readonly guardPath: string;
  /** The file that the history is appended to. */
  readonly historyFile: string;
  readonly seed: number | string;
  /** The largest TTL of the deployment. */
  readonly maxTtlMs: number;
  /** Which loops to run, some of them perhaps more than once; the name decides when not given. */
  readonly roles?: readonly Role[];
}

const LOOPS: Readonly<Record<Role, (client: ChaosClient, dice: Dice) => Promise<void>>> = {
  hold: holdLoop,
  unary: unaryLoop,
  shared: sharedLoop,
  permits: permitsLoop,
  many: manyLoop,
  leader: leaderLoop,
  begin: beginLoop,
  work: workLoop,
  read: readLoop,
  watch: watchLoop,
  insist: insistLoop,
  calm: calmLoop,
  doubt: doubtLoop,
};

/** How long it waits after SIGTERM before it breaks off what hasn't ended by itself. */
const BREAK_OFF_AFTER_MS = 11_000;

async function run(): Promise<void> {
  // The caller passes what the type says; a mistake ends the process at once.
  const options = JSON.parse(process.argv[2] ?? '') as ChaosClientArguments;
  const { name, servers, seed, maxTtlMs, roles = rolesOf(name) } = options;
  const recorder = new Recorder(options.historyFile, name);
  const stop = new AbortController();
  const guard = new GuardClient(options.guardPath);
  const client = new ChaosClient({
    name,
    servers,
    seed: String(seed),
    maxTtlMs,
    recorder,
    guard,
    stop: stop.signal,
  });
  // The clock's timers don't keep the process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  process.once('SIGTERM', () => {
    recorder.noted('stopping');
    stop.abort();
    setTimeout(() => client.close(), BREAK_OFF_AFTER_MS).unref();
  });
  recorder.noted(`started: ${roles.join(', ')}`);
  const loops = roles.map((role, index) => {
    const before = roles.slice(0, index).filter((other) => other === role).length;
    return LOOPS[role](client, client.dice(before === 0 ? role : `${role} ${before}`));
  });
  await Promise.all(loops);
  recorder.noted('stopped');
  client.close();
  clearInterval(alive);
  process.exit(0);
}

await run();
