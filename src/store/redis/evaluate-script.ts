// Runs one script on one connection.

import { CoordinationError } from '../../domain/errors.ts';
import type { Connection } from './connection.ts';
import type { Script } from './scripts.ts';

/** A script's reply: a word, Redis's TIME in microseconds, and what belongs to the word. */
export type Reply = readonly [word: string, timeUs: string, ...rest: string[]];

/** Runs a script that replies with one list of words. */
export async function evaluate(
  connection: Connection,
  script: Script,
  rest: readonly (string | number)[],
): Promise<Reply> {
  return replyOf(script.name, await evaluated(connection, script, rest));
}

/** Runs a script by its hash, or by its whole text when Redis doesn't know it (a restart, SCRIPT FLUSH). */
export async function evaluated(
  connection: Connection,
  script: Script,
  rest: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await connection.call('EVALSHA', script.sha1, ...rest);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error;
    return connection.call('EVAL', script.source, ...rest);
  }
}

export function replyOf(name: string, reply: unknown): Reply {
  if (!Array.isArray(reply) || reply.length < 2) throw new Error(`${name}: unexpected reply`);
  return reply.map(String) as unknown as Reply; // the length was checked; scripts reply lists of strings
}

/** A script that was sent, and whose reply has not come in time. */
export function unanswered(): CoordinationError {
  return new CoordinationError('OUTCOME_UNKNOWN', 'Redis did not reply in time');
}
