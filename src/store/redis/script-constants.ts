// The numbers of the domain that some of the scripts use, as Lua: they stand before the shared parts, and each script
// keeps those that it names (compose-script.ts). As arguments they would cost Redis 3 to 6 % of every call, for what
// never changes while a process lives.

import { LIMITS } from '../../domain/limits.ts';
import { FORGOTTEN_AFTER_MS, OFFER_WINDOW_MS, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import { TEXT_KEPT_MS } from '../contention-board.ts';

/** Spans are microseconds. */
const CONSTANTS = {
  SKEW: SKEW_ALLOWANCE_MS * 1_000,
  OFFER_WINDOW: OFFER_WINDOW_MS * 1_000,
  FORGOTTEN_AFTER: FORGOTTEN_AFTER_MS * 1_000,
  CONTENTION_KEPT: TEXT_KEPT_MS * 1_000,
  REMEMBERED_REQUESTS: LIMITS.rememberedRequests,
  REMEMBERED_CLAIMS: LIMITS.rememberedClaims,
};

export const CONSTANTS_IN_LUA = Object.entries(CONSTANTS)
  .map(([name, value]) => `local ${name} = ${value}\n`)
  .join('');
