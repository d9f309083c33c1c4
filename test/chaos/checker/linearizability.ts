// Decides whether some order of single steps could have answered one history of overlapping calls. This is the search
// of Wing and Gong with the memory of Lowe, which visits each pair of ordered calls and resulting state once. It knows
// nothing of what is modelled.
//
// A call with an unknown outcome stays open to the end: it may be ordered anywhere after its beginning, or never. A
// call that certainly failed has no place here.

export interface Model<State, Op> {
  readonly initial: State;
  /** Every state that the step may lead to, given the answer; none if the step can't have had this answer. */
  step(state: State, op: Op): readonly State[];
  /** Equal only for equal states. */
  key(state: State): string;
  /** It changes nothing in any state, so it can be ordered as soon as its answer fits. */
  isRead(op: Op): boolean;
}

export interface TimedOp<Op> {
  readonly op: Op;
  readonly fromMs: number;
  /** When the answer came; Infinity means that the outcome is unknown. */
  readonly toMs: number;
}

export type Linearizability = 'linearizable' | 'violated' | 'undecided';

export interface SearchLimits {
  /** After this many visits the search gives up, undecided. */
  readonly mostVisits: number;
  /** The search remembers this many visits, at some hundred bytes each; after that it gives up, too. */
  readonly mostSeen?: number;
}

const MOST_SEEN = 1_000_000;

interface Visit<State> {
  readonly state: State;
  /** A bit for each call that is already in the order. */
  readonly placed: bigint;
}

export function checkLinearizable<State, Op>(
  model: Model<State, Op>,
  history: readonly TimedOp<Op>[],
  { mostVisits, mostSeen = MOST_SEEN }: SearchLimits = { mostVisits: 200_000 },
): Linearizability {
  // Calls that were answered first are tried first: in a good history that is nearly always right.
  const calls = history.toSorted((a, b) => a.toMs - b.toMs || a.fromMs - b.fromMs);
  const answered = calls.filter(({ toMs }) => toMs !== Number.POSITIVE_INFINITY).length;
  const allAnswered = (1n << BigInt(answered)) - 1n;
  const seen = new Set<string>();
  const open: Visit<State>[] = [{ state: model.initial, placed: 0n }];
  let visits = 0;
  for (let visit = open.pop(); visit !== undefined; visit = open.pop()) {
    if ((visit.placed & allAnswered) === allAnswered) return 'linearizable';
    if (++visits > mostVisits || seen.size > mostSeen) return 'undecided';
    for (const next of successors(model, calls, visit)) {
      const key = `${next.placed.toString(36)} ${model.key(next.state)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  return 'violated';
}

/** The most promising visit comes last. */
function successors<State, Op>(
  model: Model<State, Op>,
  calls: readonly TimedOp<Op>[],
  { state, placed }: Visit<State>,
): Visit<State>[] {
  const found: Visit<State>[] = [];
  // A call cannot come before another that had been answered when it began.
  let answeredByMs = Number.POSITIVE_INFINITY;
  for (const [index, { op, fromMs, toMs }] of calls.entries()) {
    const bit = 1n << BigInt(index);
    if ((placed & bit) !== 0n) continue;
    answeredByMs = Math.min(answeredByMs, toMs);
    if (fromMs > answeredByMs) continue;
    const states = model.step(state, op);
    const [only] = states;
    const isStill = states.length === 1 && only !== undefined && model.key(only) === model.key(state);
    if (isStill && model.isRead(op)) return [{ state, placed: placed | bit }];
    for (const next of states) found.push({ state: next, placed: placed | bit });
  }
  return found.reverse();
}
