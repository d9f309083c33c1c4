// One chaos run from the first process to the verdict. Owns the order of its parts and the folder; the rig starts the
// processes, the plan says what happens, and the checker says what it meant.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkHistory, type Verdict } from './checker/check-history.ts';
import { readHistory } from './checker/read-history.ts';
import { startGuard } from './client/guard.ts';
import type { ClientKind } from './client/roles.ts';
import { nowMs } from './history.ts';
import { COMMAND_TIMEOUT_MS, MAX_TTL_MS, QUARANTINE_MS, Rig } from './rig/chaos-rig.ts';
import type { ClientTarget } from './rig/client-target.ts';
import { Lookouts } from './rig/lookouts.ts';
import type { Plan } from './rig/plan.ts';
import { planFor } from './rig/plan-for.ts';
import { Pulses } from './rig/pulses.ts';
import { RegistryLookouts } from './rig/registry-lookouts.ts';
import { recordHoldings, recordRemains } from './rig/remains.ts';
import { RunHistory } from './rig/run-history.ts';
import { Timeline } from './rig/timeline.ts';

const WHOLE_WITHIN_MS = 60_000;
const TOLD_EVERY_MS = 15_000;
const LOOKED_EVERY_MS = 2_000;
/** How long after a moment its line is certainly written, even on a busy machine. */
const WRITTEN_WITHIN_MS = 1_000;
/** By then a server has reported the reign that explains a loss. */
const EXPLAINED_WITHIN_MS = 4_000;

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  /** 'safety' when not given. */
  readonly mode?: 'safety' | 'liveness';
  /** The mechanism that is taken out of servers and clients; none when not given. */
  readonly mutant?: string;
  /** A file, or faults that come again and again; drawn from the seed when not given. */
  readonly plan?: string | Plan;
  /** The number of replicas that must acknowledge an answer; 1 when not given. */
  readonly minAcks?: number;
  /** Whether quarantines end early; as the plan says when not given. */
  readonly rollCall?: boolean;
  /**
   * The folder that gets histories and logs, and keeps them. Without it they are kept only where something is wrong.
   */
  readonly folder?: string;
  /** How many clients of each kind, in their order; their names decide what they do when not given. */
  readonly clients?: readonly ClientKind[];
  /**
   * The checks that count, of CHECK_NAMES. The run ends as soon as one of them finds something, and otherwise when its
   * time is over: the clients are then killed, and what they leave isn't looked at. When not given, all checks count
   * and the end is orderly.
   */
  readonly hunt?: readonly string[];
  /** Prints what happens, a line each; nothing is printed when not given. */
  readonly tell?: (line: string) => void;
  /** Ends everything at once; the result says that the run was broken off. */
  readonly signal?: AbortSignal;
}

export interface ChaosResult {
  readonly verdict: Verdict;
  /** Why the run itself went wrong, whatever its history says; undefined where it didn't. */
  readonly broken: string | undefined;
  readonly plan: Plan;
  readonly skippedSteps: number;
  /** The folder with all files; undefined where it was removed. */
  readonly folder: string | undefined;
  readonly beganAtMs: number;
}

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { mode = 'safety', mutant = '', tell = () => undefined, signal } = options;
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'leasehold-chaos-'));
  mkdirSync(folder, { recursive: true });
  const plan = planFor({ ...options, mode });
  writeFileSync(join(folder, 'plan.json'), `${JSON.stringify(plan, undefined, 2)}\n`);
  const history = new RunHistory(join(folder, 'runner.jsonl'));
  const beganAtMs = nowMs();
  history.write({
    kind: 'run-began',
    atMs: beganAtMs,
    seed: options.seed,
    mode: plan.mode,
    mutant,
    maxTtlMs: MAX_TTL_MS,
    quarantineMs: QUARANTINE_MS,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    minAcks: plan.minAcks,
    rollCall: plan.rollCall ?? true,
  });
  const say = (line: string): void =>
    tell(`${((nowMs() - beganAtMs) / 1_000).toFixed(1).padStart(7)} s  ${line}`);
  const run = new ChaosRun({ ...options, plan, mutant, folder, history, say, signal });
  let broken: string | undefined;
  try {
    await run.carryOut();
  } catch (error) {
    broken = signal?.aborted ? 'it was interrupted' : reasonsOf(error);
    say(`broken: ${broken}`);
  } finally {
    await run.stop();
    history.write({ kind: 'run-ended', atMs: nowMs(), crashed: run.crashed });
    history.close();
  }
  const { hunt } = options;
  const verdict = hunt ? settledVerdict(folder, hunt) : checkHistory(readHistory(folder));
  const isRed = broken !== undefined || verdict.violations.length > 0;
  const isKept = isRed || options.folder !== undefined;
  if (!isKept) rmSync(folder, { recursive: true, force: true });
  const skippedSteps = run.skippedSteps;
  return { verdict, broken, plan, skippedSteps, folder: isKept ? folder : undefined, beganAtMs };
}

interface RunTerms {
  readonly seed: number;
  readonly minutes: number;
  readonly plan: Plan;
  readonly mutant: string;
  readonly folder: string;
  readonly history: RunHistory;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal | undefined;
  readonly clients?: readonly ClientKind[];
  readonly hunt?: readonly string[];
}

class ChaosRun {
  readonly crashed: string[] = [];
  skippedSteps = 0;
  readonly #terms: RunTerms;
  #rig: Rig | undefined;
  #guard: { stop(): Promise<void> } | undefined;
  #pulses: Pulses | undefined;
  #lookouts: Lookouts | undefined;
  #registryLookouts: RegistryLookouts | undefined;

  constructor(terms: RunTerms) {
    this.#terms = terms;
  }

  async carryOut(): Promise<void> {
    const { seed, minutes, plan, mutant, folder, history, say, signal, clients, hunt } = this.#terms;
    const onCrash = (what: string): void => {
      this.crashed.push(what);
      say(`crashed ${what}`);
    };
    say(`plan "${plan.name}": ${plan.steps.length} faults, min_acks ${plan.minAcks}`);
    const rig = await Rig.start({
      folder,
      seed,
      minAcks: plan.minAcks,
      rollCall: plan.rollCall ?? true,
      mutant,
      onCrash,
      ...(clients && { clients }),
    });
    this.#rig = rig;
    if (rig.clocks.missing !== undefined) say(`no clock is stepped: ${rig.clocks.missing}`);
    this.#pulses = new Pulses(rig.servers, history);
    this.#lookouts = new Lookouts(rig.servers, history);
    this.#registryLookouts = new RegistryLookouts(rig.nodes, history);
    await recordHoldings(rig, history);
    const guard = await startGuard({ historyFile: join(folder, 'guard.jsonl') });
    this.#guard = guard;
    await rig.startClients(guard.path);
    say('three Redis, three Sentinels, two servers and ten clients are at work');

    const timeline = new Timeline({ rig, history, tell: say });
    const ticking = setInterval(() => say(this.#pulses?.describe() ?? ''), TOLD_EVERY_MS);
    const stop = (): void => timeline.end();
    signal?.addEventListener('abort', stop, { once: true });
    const endMs = nowMs() + minutes * 60_000;
    const faults = timeline.run(plan.steps);
    // A failure of it is handled below; until then it must not end the process.
    faults.catch(() => undefined);
    try {
      if (hunt) {
        await Promise.race([this.#hunted(hunt, endMs), failureOf(faults)]);
        return;
      }
      await Promise.race([this.#until(endMs), failureOf(faults)]);
      if (plan.mode === 'safety') await this.#whole(rig, faults);
      await this.#endClients(rig.clients.filter((client) => !rig.isTaken(client)));
      timeline.end();
      await this.#whole(rig, faults);
      // The parties that a fault had until now.
      await this.#endClients(rig.clients);
    } finally {
      if (hunt) await Promise.all(rig.clients.map((client) => client.kill()));
      timeline.end();
      clearInterval(ticking);
      this.skippedSteps = timeline.skipped;
      await faults.catch(() => undefined);
    }
    say('the clients have gone; what they left has to go, too');
    await recordRemains(rig, history);
    this.crashed.push(...(await rig.deadRedis()));
    for (const server of rig.servers) {
      const wrong = await server.end();
      if (wrong !== undefined) this.crashed.push(wrong);
    }
  }

  /** Ends everything that runs, whatever it is doing. */
  async stop(): Promise<void> {
    await Promise.all([this.#pulses?.stop(), this.#lookouts?.stop(), this.#registryLookouts?.stop()]);
    const rig = this.#rig;
    if (rig !== undefined) {
      for (const [name, text] of await rig.logs())
        writeFileSync(join(this.#terms.folder, `${name}.log`), text);
      await rig.stop();
    }
    await this.#guard?.stop();
  }

  async #until(endMs: number): Promise<void> {
    const { signal } = this.#terms;
    // Rejects when it is aborted: nothing is waited for any more then.
    await sleep(Math.max(0, endMs - nowMs()), undefined, signal ? { signal } : {});
  }

  /** Until something was found, or for this long. */
  async #hunted(checks: readonly string[], endMs: number): Promise<void> {
    while (nowMs() < endMs) {
      await this.#until(Math.min(endMs, nowMs() + LOOKED_EVERY_MS));
      const [first] = settledVerdict(this.#terms.folder, checks).violations;
      if (first === undefined) continue;
      this.#terms.say(`found: ${first.check}: ${first.text}`);
      return;
    }
  }

  async #whole(rig: Rig, faults: Promise<void>): Promise<void> {
    await faults;
    await rig.cluster.waitUntilWhole(WHOLE_WITHIN_MS);
  }

  async #endClients(clients: readonly ClientTarget[]): Promise<void> {
    const wrong = await Promise.all(clients.map((client) => client.end()));
    this.crashed.push(...wrong.filter((text) => text !== undefined));
  }
}

/**
 * What these checks find in a history that is still being written, or whose writers were killed. Its files are read one
 * after the other: an event that is newer than the reading of the first file has its other half in the last, and isn't
 * looked at.
 */
function settledVerdict(folder: string, checks: readonly string[]): Verdict {
  const untilMs = nowMs() - WRITTEN_WITHIN_MS;
  const events = readHistory(folder).filter(({ atMs }) => atMs <= untilMs);
  const heardMs = events.findLast(({ kind }) => kind === 'pulse')?.atMs ?? 0;
  const { violations, ...verdict } = checkHistory(events, checks);
  return { ...verdict, violations: violations.filter(({ atMs }) => atMs <= heardMs - EXPLAINED_WITHIN_MS) };
}

/** Never resolves; rejects as soon as the work fails. */
async function failureOf(work: Promise<void>): Promise<never> {
  await work;
  return new Promise<never>(() => undefined);
}

function reasonsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasonsOf(error.cause)}`;
}
