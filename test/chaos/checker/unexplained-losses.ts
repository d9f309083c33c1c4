// Which failovers may have lost acknowledged writes, by the faults that the runner declared: with `async` any of them;
// with `replicated` those before which a second node was struck as well (the replica that had acknowledged went with
// the primary), and those of a fault that says so itself. Any other loss is a broken promise.

import type { Reign, Run, Span } from './recorded-run.ts';

/** How long before the new reign a fault of another node still counts: until that node has caught up again. */
const STRUCK_BEFORE_MS = 10_000;
/**
 * A new reign is reported a little after it began, and an isolated primary may answer for as long as it is confirmed
 * (2 s) after that.
 */
export const REIGN_BLUR_MS = 3_000;

/** The reigns that may have begun without what was acknowledged before. */
export function losingReigns(run: Run): Reign[] {
  return run.reigns.slice(1).filter(({ atMs }) => run.terms?.minAcks === 0 || mayHaveLost(run, atMs));
}

function mayHaveLost(run: Run, reignMs: number): boolean {
  const struck = run.faults.filter(
    ({ began, healedMs }) => began.atMs <= reignMs && healedMs >= reignMs - STRUCK_BEFORE_MS,
  );
  const nodes = struck.flatMap(({ began }) => began.targets.filter((target) => target.startsWith('node-')));
  return (
    new Set(nodes).size > (run.terms?.minAcks ?? 1) || struck.some(({ began }) => began.mayLose === true)
  );
}

/** Whether one of them lies between an answer and the later one that contradicts it. */
export function explainsLoss(losing: readonly Reign[], { fromMs, toMs }: Span): boolean {
  return losing.some(({ atMs }) => atMs >= fromMs - REIGN_BLUR_MS && atMs <= toMs + REIGN_BLUR_MS);
}
