// Measures the servers of two checkouts in turn, with the load generator of this one. Each round starts both anew, each
// on a Redis of its own, so that the luck of one process (how its code was compiled, where its memory lies) isn't taken
// for a difference. Within a round they take turns piece by piece, and the next round begins with the other one. Owns
// that order.
import { LEASEHOLD } from '../../test/support/server-process.ts';
import type { Figure } from '../figures.ts';
import { FEWEST_ROUNDS } from '../options.ts';
import { answers, type Rig } from '../rig.ts';
import { withRig } from '../run-scenario.ts';
import type { Checkout } from './checkout.ts';
import type { Match, Reading, Side } from './matches.ts';
import { type Round, ratiosOf, ratioTableHead, ratioTableLine } from './ratio-table.ts';

const FULL_ROUNDS = 9;

export interface RoundOptions {
  readonly quick: boolean;
  readonly rounds: number | undefined;
}

/** Prints the table of each match when its rounds are over. */
export async function compareCheckouts(
  other: Checkout,
  matches: readonly Match[],
  { quick, rounds = quick ? FEWEST_ROUNDS : FULL_ROUNDS }: RoundOptions,
): Promise<readonly Figure[]> {
  console.log(`  other    ${other.commit} in ${other.name}`);
  console.log(
    '\nThe ratio is this ÷ other: the median of the ratios of the rounds, and the least and the most.',
  );
  const figures: Figure[] = [];
  for (const match of matches) {
    console.log(`\n${match.title} (${match.name})\n${ratioTableHead(rounds)}`);
    const played: Round[] = [];
    for (let round = 0; round < rounds; round++) {
      played.push(await withRig((rig) => play(rig, match, other, { quick, round })));
    }
    const found = ratiosOf(match.name, played);
    for (const figure of found) console.log(ratioTableLine(figure));
    figures.push(...found);
  }
  return figures;
}

async function play(
  rig: Rig,
  match: Match,
  other: Checkout,
  { quick, round }: { readonly quick: boolean; readonly round: number },
): Promise<Round> {
  const sides = { ours: await side(rig, LEASEHOLD), floor: await otherSide(rig, other) };
  const read: { ours: Reading[]; floor: Reading[] } = { ours: [], floor: [] };
  const order = round % 2 === 0 ? (['ours', 'floor'] as const) : (['floor', 'ours'] as const);
  for (const step of match.steps(rig, { quick })) {
    for (const whose of order) read[whose].push(...(await step(sides[whose])));
  }
  return read;
}

async function side(rig: Rig, script: readonly string[]): Promise<Side> {
  const backend = await rig.redis();
  const server = await rig.leasehold(backend, {}, script);
  await answers(server);
  return { backend, server };
}

async function otherSide(rig: Rig, other: Checkout): Promise<Side> {
  try {
    return await side(rig, other.server);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the server of --against ${other.name} doesn't serve: ${why}`, { cause: error });
  }
}
