// Keeps N server processes: starts them, replaces those that end, and ends them all. What they serve, the log, and the
// exit code of the supervisor's own process are not its business.
//
//   starting ──serving──▶ serving          When a server process ends, another takes its place after a pause, unless:
//      │                     │               · not all have served yet: what fails at the start fails for good;
//      └───────ended─────────┤               · it refused to serve: Redis isn't fit, and no other would do better;
//                            ▼               · none is left: that is like the crash of a server of one process, and
//                         pausing              what looks after this process has to know.
//                            │             Each of these ends the others in order, and is a failure.
//                            └──▶ starting

import { type BackoffBounds, fullJitterMs } from '../domain/backoff.ts';
import { type Clock, pause, within } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { Inheritance } from '../domain/inheritance.ts';
import type { Order, Report } from './process-messages.ts';
import type { ProcessEnd, StartProcess, SupervisedProcess } from './supervised-process.ts';

export interface SupervisorOptions {
  readonly processes: number;
  /** The packed configuration of a server process: of the first ones, and of those that take another's place. */
  readonly configs: { readonly first: string; readonly replacement: string };
  readonly startProcess: StartProcess;
  /** A random one, never the same twice. */
  readonly newInstanceId: () => string;
  readonly clock: Clock;
  /** Milliseconds on the machine's monotonic clock, which the server processes read too. */
  readonly machineMs: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: { error(facts: object, message: string): void };
  /** The server process of this number has ended without an order to. */
  readonly onEnded: (number: number) => void;
}

/** Why the server can't go on; all its processes have ended in order. */
export type Failure =
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly message: string };

export interface Serving {
  readonly address: HostPort;
  /** What the first process that served said about itself. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** What its first order says, but for the id. */
type Launch = Pick<Extract<Order, { order: 'serve' }>, 'config' | 'replaces' | 'inheritance'>;

const BACKOFF: BackoffBounds = { firstMs: 500, mostMs: 30_000 };
/** One that has served for this long ends for a reason of its own, not for the reason that ended the one before. */
const STEADY_MS = 60_000;
const WATCH_EVERY_MS = 1_000;
/** A process that is silent for this many looks hangs. Looks are counted, so a pause of the machine proves nothing. */
const SILENT_LOOKS = 20;
const METRICS_WITHIN_MS = 1_000;

interface Slot {
  readonly number: number;
  instanceId: string;
  /** From when the instance of this id may tell anything, as far as it has said. */
  tellsFromMs: number | undefined;
  state: 'starting' | 'serving' | 'pausing' | 'ended';
  process: SupervisedProcess | undefined;
  ready: boolean;
  servingSinceMs: number;
  silentLooks: number;
  /** How many in a row, without a steady time between them. */
  ends: number;
  /** What it reported as wrong. */
  complaint: Failure | undefined;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: readonly Slot[];
  readonly #stopping = new AbortController();
  readonly #allEnded = Promise.withResolvers<void>();
  readonly #allServing = Promise.withResolvers<Serving>();
  readonly #failure = Promise.withResolvers<Failure>();
  readonly #questions = new Map<number, (text: string) => void>();
  #serving: Serving | undefined;
  #allHaveServed = false;
  #endedInOrder = true;
  #asked = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.processes }, (_, index) => ({
      number: index + 1,
      instanceId: options.newInstanceId(),
      tellsFromMs: undefined,
      state: 'ended',
      process: undefined,
      ready: false,
      servingSinceMs: 0,
      silentLooks: 0,
      ends: 0,
      complaint: undefined,
    }));
  }

  /** Resolves when all serve. If that never happens, it stays pending for ever: see `failure`. */
  start(): Promise<Serving> {
    const { first: config } = this.#options.configs;
    for (const slot of this.#slots) this.#launch(slot, { config, replaces: false });
    void this.#watch();
    return this.#allServing.promise;
  }

  /** Resolves if the server can't go on, once the processes that were left have ended. */
  get failure(): Promise<Failure> {
    return this.#failure.promise;
  }

  /**
   * A connection may get to any process that serves, so each of those has to be ready. A process that is about to take
   * the place of another gets no connections yet.
   */
  ready(): boolean {
    const serving = this.#slots.filter(({ state }) => state === 'serving');
    return !this.#stopping.signal.aborted && serving.length > 0 && serving.every(({ ready }) => ready);
  }

  /** Which server processes serve. */
  serving(): readonly { readonly number: number; readonly serving: boolean }[] {
    return this.#slots.map(({ number, state }) => ({ number, serving: state === 'serving' }));
  }

  reloadTokens(): void {
    this.#tellAll({ order: 'reload tokens' });
  }

  /** The metrics of the processes that answer in time: one that hangs must not hide the others. */
  async metricsTexts(): Promise<readonly string[]> {
    const asked = this.#slots.filter(({ state }) => state === 'serving').map((slot) => this.#ask(slot));
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** Drains all at once. Resolves when none is left, with true if each has ended in order. */
  async stop(): Promise<boolean> {
    this.#stopping.abort();
    this.#tellAll({ order: 'drain' });
    this.#lookWhetherAllEnded();
    await this.#allEnded.promise;
    return this.#endedInOrder;
  }

  /** Ends all at once. */
  kill(): void {
    for (const { process } of this.#slots) process?.kill();
  }

  #launch(slot: Slot, how: Launch): void {
    Object.assign(slot, { state: 'starting', ready: false, silentLooks: 0, complaint: undefined });
    slot.process = this.#options.startProcess(slot.number, {
      reported: (report) => this.#reported(slot, report),
      ended: (end) => this.#ended(slot, end),
    });
    const group = this.#slots.map(({ instanceId }) => instanceId);
    slot.process.tell({ order: 'serve', ...how, instanceId: slot.instanceId, group });
  }

  #reported(slot: Slot, report: Report): void {
    slot.silentLooks = 0;
    switch (report.report) {
      case 'serving':
        this.#begins(slot, report);
        return;
      case 'alive':
        slot.ready = report.ready;
        return;
      case 'standing':
        slot.tellsFromMs = report.tellsFromMs;
        return;
      case 'refused':
        slot.complaint = { kind: 'refused', reason: report.reason };
        return;
      case 'failed':
        slot.complaint = { kind: 'failed', message: report.message };
        return;
      case 'metrics':
        this.#questions.get(report.question)?.(report.text);
    }
  }

  #begins(slot: Slot, serving: Serving): void {
    if (this.#stopping.signal.aborted) return;
    slot.state = 'serving';
    slot.servingSinceMs = this.#options.clock.monotonicMs();
    this.#serving ??= serving;
    // If any free port would do, and every process that held the port had ended, the port may be another one now.
    const [announced, bound] = [this.#serving.address, serving.address].map(formatHostPort);
    if (announced !== bound) {
      this.#fail({ kind: 'failed', message: `${announced} is gone: it would be ${bound} now` });
      return;
    }
    if (this.#allHaveServed || !this.#slots.every(({ state }) => state === 'serving')) return;
    this.#allHaveServed = true;
    this.#allServing.resolve(this.#serving);
  }

  #ended(slot: Slot, { code, signal }: ProcessEnd): void {
    const { clock, onEnded } = this.#options;
    const { state, process } = slot;
    const servedMs = state === 'serving' ? clock.monotonicMs() - slot.servingSinceMs : 0;
    Object.assign(slot, { state: 'ended', process: undefined, ready: false });
    if (this.#stopping.signal.aborted) {
      // A process that didn't serve yet leaves nothing undone.
      this.#endedInOrder &&= code === 0 || state !== 'serving';
      this.#lookWhetherAllEnded();
      return;
    }
    if (servedMs >= STEADY_MS) slot.ends = 0;
    onEnded(slot.number);
    const how = signal ?? `code ${code}`;
    const failure = this.#failureBy(slot, how);
    if (failure) this.#fail(failure);
    else this.#replace(slot, this.#inheritanceOf(slot, code), { workerPid: process?.pid, how });
  }

  /**
   * The process is gone, and nothing runs any more under its instance id. If it died, the next one goes on with the id:
   * its entry in the registry needs no other, and no roll call waits for a dead one. If it ended in order, it has left
   * the registry, with all that it told in the data: the next one is a new instance. (Under the same id it would answer
   * for the former one, of whose leases it knows nothing, on a replica that hasn't heard of the leaving yet.)
   */
  #inheritanceOf(slot: Slot, code: number | undefined): Inheritance | undefined {
    const { newInstanceId, machineMs } = this.#options;
    if (code !== 0) return { diedAtMs: machineMs(), tellsFromMs: slot.tellsFromMs };
    Object.assign(slot, { instanceId: newInstanceId(), tellsFromMs: undefined });
    return undefined;
  }

  /** Why this end is the end of all, if it is. */
  #failureBy({ number, complaint }: Slot, how: string): Failure | undefined {
    if (complaint?.kind === 'refused') return complaint;
    if (!this.#allHaveServed) {
      return (
        complaint ?? { kind: 'failed', message: `worker ${number} has ended before all served (${how})` }
      );
    }
    if (this.#slots.some(({ process }) => process)) return undefined;
    const why = complaint ? `: ${complaint.message}` : '';
    return { kind: 'failed', message: `no worker is left; the last was worker ${number} (${how})${why}` };
  }

  #replace(slot: Slot, inheritance: Inheritance | undefined, facts: Readonly<Record<string, unknown>>): void {
    const { clock, random, log, configs } = this.#options;
    const pauseMs = Math.round(fullJitterMs(slot.ends++, BACKOFF, random));
    const { number: worker, ends: inARow } = slot;
    const reason = slot.complaint?.kind === 'failed' ? slot.complaint.message : undefined;
    log.error({ worker, ...facts, reason, inARow, pauseMs }, 'a worker has ended; another takes its place');
    slot.state = 'pausing';
    void pause(clock, pauseMs, this.#stopping.signal).then(() => {
      const how = { config: configs.replacement, replaces: true, inheritance };
      if (!this.#stopping.signal.aborted) this.#launch(slot, how);
    });
  }

  #fail(failure: Failure): void {
    this.#endedInOrder = false;
    void this.stop().then(() => this.#failure.resolve(failure));
  }

  #lookWhetherAllEnded(): void {
    if (this.#slots.every(({ process }) => !process)) this.#allEnded.resolve();
  }

  async #watch(): Promise<void> {
    const { clock, log } = this.#options;
    for (;;) {
      await pause(clock, WATCH_EVERY_MS);
      for (const slot of this.#slots) {
        if (!slot.process || ++slot.silentLooks !== SILENT_LOOKS) continue;
        const facts = { worker: slot.number, workerPid: slot.process.pid };
        log.error(facts, 'a worker hangs: it has been silent for too long, and is killed');
        slot.process.kill();
      }
    }
  }

  async #ask({ process }: Slot): Promise<string> {
    const question = ++this.#asked;
    const answer = new Promise<string>((resolve) => this.#questions.set(question, resolve));
    process?.tell({ order: 'tell metrics', question });
    try {
      return await within(this.#options.clock, METRICS_WITHIN_MS, answer, () => new Error('no answer'));
    } finally {
      this.#questions.delete(question);
    }
  }

  #tellAll(order: Order): void {
    for (const { process } of this.#slots) process?.tell(order);
  }
}
