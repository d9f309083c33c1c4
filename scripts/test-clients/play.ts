// Plays one scenario with one runner, step by step: it sends the clients' steps to the runner, carries out those of the
// surroundings here, and compares the answers with the expected ones.
import { constants } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import { eventually } from '../../test/support/eventually.ts';
import { answers as answersWith, resets } from '../../test/support/http2-proxy.ts';
import { copiesOf, mismatch, resolved, type Scenario, type Step, type Values } from './client-scenario.ts';
import { ClientError, type Runner } from './runner.ts';
import { type Surroundings, TLS_FOLDER } from './surroundings.ts';

const WITHIN_S = 15;
const LOOK_MS = 100;
const SECOND_MS = 1_000;
/** How many of the copies of a step are in progress at a time, unless it is started. */
const AT_ONCE = 100;

/** The runner doesn't have a verb, so the scenario is left out in its language. */
export class LeftOut extends Error {
  override readonly name = 'LeftOut';
}

export interface Play {
  readonly runner: Runner;
  readonly surroundings: Surroundings;
  readonly scenario: Scenario;
  /** Goes before the names of resources and types, so that scenarios don't disturb one another. */
  readonly prefix: string;
}

/** Throws what went wrong; LeftOut if the runner lacks a verb. */
export async function play({ runner, surroundings, scenario, prefix }: Play): Promise<void> {
  const answers = new Map<string, unknown>();
  const started = new Map<string, Promise<Values>>();
  const { verbs } = await runner.ask('verbs', {});
  const known = Array.isArray(verbs) ? verbs : [];
  const lacking = scenario.steps.find(
    ({ verb }) => !(verb in SURROUNDING || [...known, 'finish'].includes(verb)),
  );
  if (lacking) throw new LeftOut(`its runner has no ${lacking.verb}`);
  await runner.ask('connect', { as: 'main', addresses: surroundings.addresses() });
  for (const [index, step] of scenario.steps.entries()) {
    const where = `step ${index + 1} (${step.verb} ${JSON.stringify(step.args)})`;
    try {
      await playStep(step);
    } catch (error) {
      if (error instanceof LeftOut) throw error;
      throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }

  async function playStep(step: Step): Promise<void> {
    if (step.verb === 'finish') {
      const name = String(step.args.value);
      const work = started.get(name);
      if (!work) throw new Error(`nothing was started as ${name}`);
      return settle({ as: name, ...step }, work);
    }
    const copies = copiesOf(step);
    if (step.start === undefined) return all(copies.map((copy) => () => settle(copy, begin(copy))));
    const works = copies.map(begin);
    const work = Promise.all(works).then(([answer = {}]) => (step.times === undefined ? answer : {}));
    work.catch(() => {}); // `finish` reports it.
    started.set(step.start, work);
  }

  function begin(step: Step): Promise<Values> {
    const args = prefixed(valuesOf(resolved(step.args, answers)), prefix);
    const own = SURROUNDING[step.verb];
    if (!own) return runner.ask(step.verb, forRunner(step, args));
    return own({ args, runner, surroundings, withinMs: (step.within ?? WITHIN_S) * SECOND_MS });
  }

  function forRunner(step: Step, args: Values): Values {
    const named = step.as === undefined ? {} : { as: step.as };
    const at = { client: step.client ?? 'main' };
    if (step.verb !== 'connect') return { ...at, ...named, ...args };
    const { to, ca, ...rest } = args;
    const addresses = surroundings.addresses(to === undefined ? undefined : [to].flat().map(String));
    return {
      ...rest,
      ...named,
      addresses,
      ...(ca === undefined ? {} : { ca: join(TLS_FOLDER, String(ca)) }),
    };
  }

  async function settle(step: Step, work: Promise<Values>): Promise<void> {
    const answer = await inTime(work, (step.within ?? WITHIN_S) * SECOND_MS);
    if (answer instanceof ClientError) {
      if (!step.fails) throw new Error(`failed: ${answer.message}`);
      const wrong = mismatch(resolved(step.fails, answers), answer.fields);
      if (wrong) throw new Error(`failed, but ${wrong}; the error was ${answer.message}`);
      if (!answer.fields.message) throw new Error('failed without a message');
      return;
    }
    if (step.fails) throw new Error(`did not fail, but answered ${JSON.stringify(answer)}`);
    if (step.as !== undefined) answers.set(step.as, answer);
    const wrong = step.expect && mismatch(resolved(step.expect, answers), answer);
    if (wrong) throw new Error(`${wrong}; the answer was ${JSON.stringify(answer)}`);
  }
}

/** Throws how many failed, and the first error; what is alone fails with its own. */
async function all(works: readonly (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  const left = works.entries();
  const oneAfterTheOther = async (): Promise<void> => {
    for (const [, work] of left) await work().catch((error: unknown) => errors.push(error));
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, works.length) }, oneAfterTheOther));
  const [first] = errors;
  if (first === undefined) return;
  if (works.length === 1) throw first;
  throw new Error(`${errors.length} of ${works.length} failed, for example: ${first}`, { cause: first });
}

async function inTime(work: Promise<Values>, withinMs: number): Promise<Values | ClientError> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${withinMs} ms`)), withinMs);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    if (error instanceof ClientError) return error;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function valuesOf(value: unknown): Values {
  return value !== null && typeof value === 'object' ? Object.fromEntries(Object.entries(value)) : {};
}

/** A resource that is empty on purpose stays empty. */
function prefixed(args: Values, prefix: string): Values {
  const put = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(put);
    return value === '' || value === undefined ? value : `${prefix}${value}`;
  };
  const names = ['resource', 'resources', 'type', 'types'].filter((name) => name in args);
  return { ...args, ...Object.fromEntries(names.map((name) => [name, put(args[name])])) };
}

// ---- The verbs of the surroundings.

interface Doing {
  readonly args: Values;
  readonly runner: Runner;
  readonly surroundings: Surroundings;
  readonly withinMs: number;
}

const SURROUNDING: Readonly<Record<string, (doing: Doing) => Promise<Values>>> = {
  async server({ args, surroundings }) {
    for (const [how, name] of Object.entries(args)) {
      const seat = surroundings.seat(String(name));
      if (how === 'start') await seat.start();
      else if (how === 'kill' || how === 'stop') await seat.end(how);
      else throw new Error(`server: there is no "${how}"`);
    }
    return {};
  },

  async network({ args, surroundings }) {
    for (const [how, name] of Object.entries(args)) {
      const { proxy } = surroundings.seat(String(name));
      if (how === 'cut') proxy.cut();
      else if (how === 'heal') proxy.heal();
      else if (how === 'drop') proxy.drop();
      else if (how === 'refuse') await proxy.refuse();
      else if (how === 'accept') await proxy.accept();
      else if (how === 'hold_replies') proxy.holdReplies();
      else throw new Error(`network: there is no "${how}"`);
    }
    return {};
  },

  /** The proxy that speaks HTTP/2. It tells how many calls it did something to, so that a scenario isn't idle. */
  async http2({ args, surroundings }) {
    const { http2 } = surroundings;
    if (args.value === 'go_away') http2.goAway();
    else if (args.value === 'drop') http2.drop();
    else if (args.reset !== undefined) return { calls: http2.toOpenCalls(resets(resetCode(args.reset))) };
    else if (args.answer !== undefined) {
      http2.allCalls = answersWith(Number(args.answer));
      await sleep(Number(args.for) * SECOND_MS);
      const { kept } = http2;
      http2.allCalls = undefined;
      return { calls: kept };
    } else throw new Error(`http2: there is no ${JSON.stringify(args)}`);
    return {};
  },

  async redis({ surroundings }) {
    await surroundings.failover();
    return {};
  },

  async force_release({ args, surroundings }) {
    const { client } = surroundings.seat('first');
    const request = { resource: String(args.resource), immediate: args.immediate === true };
    const { releasedCount } = await client.forceRelease(request);
    return { released_count: releasedCount };
  },

  async waiters({ args, surroundings, withinMs }) {
    const { client } = surroundings.seat(String(args.server ?? 'first'));
    const isSo = async (): Promise<boolean> => {
      const { lock } = await client.getLock(String(args.resource));
      const { waiterCount, waiters = [] } = lock ?? {};
      return waiterCount === args.count && !waiters.some(({ absent }) => absent);
    };
    await eventually(isSo, {
      what: `${args.count} waiters that are there`,
      withinMs,
      everyMs: LOOK_MS,
    });
    return {};
  },

  async holder({ args, surroundings }) {
    const { client } = surroundings.seat(String(args.server ?? 'first'));
    const { lock } = await client.getLock(String(args.resource));
    const [holder] = lock?.holders ?? [];
    return { fencing_token: Number(holder?.fencingToken ?? 0n), owner: holder?.owner ?? '' };
  },

  async stays_held({ args, runner }) {
    const [verb, of] = args.lease === undefined ? ['attempt', 'run'] : ['lease', 'lease'];
    const until = performance.now() + Number(args.for) * SECOND_MS;
    while (performance.now() < until) {
      const state = await runner.ask(verb, { [of]: args[of] });
      if (state.held !== true) throw new Error(`it was lost: ${JSON.stringify(state)}`);
      await sleep(LOOK_MS);
    }
    return {};
  },

  async renewed({ args: { lease }, runner, withinMs }) {
    let last = Number.POSITIVE_INFINITY;
    const look = async (): Promise<string | false> => {
      const { held, lost, remaining } = await runner.ask('lease', { lease });
      if (held !== true) return `it was lost: ${lost}`;
      const before = last;
      last = Number(remaining);
      return last > before && 'renewed';
    };
    const seen = await eventually(look, { what: 'a renewal', withinMs, everyMs: LOOK_MS });
    if (seen !== 'renewed') throw new Error(seen);
    return {};
  },

  async free({ args, surroundings, withinMs }) {
    const { client } = surroundings.seat('first');
    const isSo = async (): Promise<boolean> =>
      (await client.getLock(String(args.resource))).lock?.holders.length === 0;
    await eventually(isSo, { what: 'a free lock', withinMs, everyMs: LOOK_MS });
    return {};
  },

  async runner({ args, runner }) {
    if (args.value === 'freeze') runner.freeze();
    else if (args.value === 'thaw') runner.thaw();
    else throw new Error(`runner: there is no ${JSON.stringify(args)}`);
    return {};
  },

  async stored_data({ args, surroundings }) {
    const key = { resource: String(args.resource), operationId: String(args.operation_id) };
    const { data } = await surroundings.seat('first').operations.get(key);
    return { type_url: data?.typeUrl ?? '', bytes: data?.value.toString('hex') ?? '' };
  },

  async record({ args, surroundings, withinMs }) {
    const { operations } = surroundings.seat('first');
    const key = { resource: String(args.resource), operationId: String(args.operation_id) };
    const isSo = async (): Promise<boolean> => {
      const operation = await operations.get(key);
      const state = stateName(operation.state);
      if (args.attempt !== undefined && operation.attemptNumber !== args.attempt) return false;
      return state === args.state;
    };
    const what = `a record that is ${args.state}`;
    await eventually(isSo, { what, withinMs, everyMs: LOOK_MS });
    return {};
  },
};

/** The code of HTTP/2 with this name, such as INTERNAL_ERROR. */
function resetCode(name: unknown): number {
  const code = Object.entries(constants).find(([key]) => key === `NGHTTP2_${name}`)?.[1];
  if (typeof code !== 'number') throw new Error(`http2: there is no code ${name}`);
  return code;
}

function stateName(state: OperationState): string {
  const [name = ''] = Object.entries(OperationState).find(([, value]) => value === state) ?? [];
  return name.replace('OPERATION_STATE_', '');
}
