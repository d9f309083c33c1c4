// Each rule that the safety of the product rests on, the mutant that is the product without it, and the test that fails
// then. `npm run test:rules` shows it. (The chaos suite shows the same with whole runs, for some of them.)

import { RULES_OF_BATCHES } from './rules-of-batches.ts';
import { RULES_OF_ROLL_CALLS } from './rules-of-roll-calls.ts';

export interface Rule {
  /** What holds. */
  readonly rule: string;
  /** The name of the product without it: see mutants.ts. */
  readonly without: string;
  readonly file: string;
  /** The test's title, or a part of it, after the titles of its groups as far as they are needed: 'group > title'. */
  readonly test: string;
}

const LOCKS = 'test/conformance/lock-store.test.ts';
const WAITING = 'test/conformance/waiting.test.ts';
const OPERATIONS = 'test/conformance/operation-store.test.ts';
const KEEPING = 'test/conformance/keep-alive.test.ts';
const REIGN = 'test/integration/reign.rules.test.ts';
const ADOPTION = 'test/integration/adoption.rules.test.ts';
const SENTINELS = 'test/integration/sentinel-watch.rules.test.ts';
const HEIRS = 'test/integration/roll-call.heirs.test.ts';
const NODE = 'test/integration/redis-node.rules.test.ts';
const BARRIER = 'test/integration/commit-barrier.rules.test.ts';
const RESETS = 'test/integration/roll-call.sentinels.test.ts';
const IDENTITY = 'test/integration/roll-call.identity.test.ts';
const CLIENT = 'test/integration/client.hold.test.ts';

export const RULES: readonly Rule[] = [
  // A new reign
  {
    rule: 'A script runs under the reign that it was sent under, and no other.',
    without: 'reign-check',
    file: ADOPTION,
    test: 'no script runs without an adoption of the reign',
  },
  {
    rule: 'A reign is named by the replication id, not by the run of the process.',
    without: 'replid-in-the-reign',
    file: REIGN,
    test: 'a new replication id begins a new reign, although the process is the same',
  },
  {
    rule: 'A reign is named by the config epoch too.',
    without: 'epoch-in-the-reign',
    file: REIGN,
    test: 'a new config epoch begins a new reign, although the node never stopped',
  },
  {
    rule: 'A primary that is named under an earlier config epoch than before begins its reign again.',
    without: 'epochs-that-restart',
    file: RESETS,
    test: 'a primary that is named under the epoch of a reign that others have left begins that reign again',
  },
  {
    rule: 'An entry in the registry is that of one process.',
    without: 'one-process-per-entry',
    file: IDENTITY,
    test: 'a process whose copy has ticked answers nothing more, and a failover then takes the full quarantine',
  },
  {
    rule: 'Nothing is granted in the quarantine.',
    without: 'quarantine',
    file: LOCKS,
    test: 'Redis > a new reign > a new reign grants nothing until its quarantine is over, and then gives larger tokens',
  },
  {
    rule: 'No adoption shortens a quarantine.',
    without: 'quarantine-kept-whole',
    file: ADOPTION,
    test: 'an adoption never shortens the present quarantine, whatever its own would be',
  },
  {
    rule: 'A repeat of a recorded grant is not answered in the quarantine.',
    without: 'no-repeat-in-quarantine',
    file: LOCKS,
    test: 'Redis > a new reign > a new reign does not repeat a recorded grant, which may never have been confirmed, but renews it by its token',
  },
  {
    rule: 'A release in the quarantine frees the resource at its end.',
    without: 'release-frees-at-the-end',
    file: WAITING,
    test: 'Redis > in a quarantine > waiters keep their places in a quarantine, and the first is granted the lock at its end',
  },
  {
    rule: 'The confirmation of an offer is not answered in the quarantine.',
    without: 'no-confirm-in-quarantine',
    file: WAITING,
    test: 'Redis > in a quarantine > a repeated confirmation is not answered in a quarantine, although its lease lives on',
  },
  {
    rule: 'No attempt and nothing exclusive is begun in the quarantine.',
    without: 'no-begin-in-quarantine',
    file: OPERATIONS,
    test: 'Redis > in a quarantine no operation starts, and running ones go on',
  },
  {
    rule: 'Nothing is claimed in the quarantine.',
    without: 'no-claim-in-quarantine',
    file: OPERATIONS,
    test: 'Redis > in a quarantine no operation starts, and running ones go on',
  },
  {
    rule: 'An inherited lease near its deadline is not renewed.',
    without: 'lapsed-before',
    file: LOCKS,
    test: 'Redis > a new reign > a new reign renews no inherited lease near its deadline, and keeps its resource taken until then',
  },
  {
    rule: 'An adoption needs a majority of the Sentinels.',
    without: 'adoption-majority',
    file: SENTINELS,
    test: 'two addresses of one Sentinel are one vote',
  },
  {
    rule: 'The majority that an adoption needs was asked after the reign was read.',
    without: 'adoption-asks-afterwards',
    file: REIGN,
    test: 'an adoption needs a majority that was asked after the reign was read',
  },
  {
    rule: 'A node that is no longer primary is not adopted.',
    without: 'adoption-checks-the-role',
    file: REIGN,
    test: 'an adoption on a node that was demoted before it runs changes nothing',
  },
  {
    rule: 'An adoption raises the token to the largest that was seen.',
    without: 'adoption-raises-the-token',
    file: ADOPTION,
    test: 'an adoption of a Redis that lost its data begins above the largest token that was seen, even if its clock went back',
  },
  {
    rule: 'An instance that has seen the deployment does not adopt an empty Redis as new.',
    without: 'known-deployment-is-not-new',
    file: 'test/integration/errors.redis-away.test.ts',
    test: 'an empty Redis is not adopted as new by an instance that has seen the deployment',
  },
  {
    rule: 'A server process that replaces another never adopts an empty Redis as new.',
    without: 'replacement-is-not-new',
    file: 'test/unit/pack-config.test.ts',
    test: 'a server process that replaces another never takes an empty Redis for a new deployment',
  },
  {
    rule: 'All instances of a deployment have one max_ttl.',
    without: 'one-max-ttl',
    file: ADOPTION,
    test: 'an adoption with another max_ttl than that of the deployment is refused',
  },
  {
    rule: 'Under Sentinel an adoption waits for the first replica.',
    without: 'waits-for-the-first-replica',
    file: REIGN,
    test: 'an adoption waits for the first replica, which changes the replication id, so that the reign begins once',
  },
  {
    rule: 'A Redis that may evict is not used.',
    without: 'noeviction',
    file: NODE,
    test: 'a node that may evict keys is not used',
  },
  {
    rule: 'The heir of a dead process answers incomplete until all is over that that told.',
    without: 'heirs-answer-incomplete',
    file: HEIRS,
    test: 'a failover lasts until all is over that the dead one told, and a later one ends when all have answered',
  },
  {
    rule: 'The heir of a newcomer waits for the rest.',
    without: 'heirs-wait-for-the-rest',
    file: HEIRS,
    test: 'of a newcomer it waits for the rest',
  },
  {
    rule: 'Who has not heard that it is registered, registers again.',
    without: 'registers-until-it-is-answered',
    file: HEIRS,
    test: 'an instance whose registration was not answered registers again, and waits from there',
  },
  {
    rule: 'Who was placed by its group is a newcomer in a later reign.',
    without: 'together-in-one-reign',
    file: HEIRS,
    test: 'one that comes under a later reign waits, and is waited for by the roll call of that',
  },
  {
    rule: 'A group tells at once only where nobody else is registered.',
    without: 'together-only-alone',
    file: HEIRS,
    test: 'all of them wait beside others',
  },
  // The primary is confirmed
  {
    rule: 'An answer needs the confirmation of a Sentinel majority.',
    without: 'confirmation',
    file: SENTINELS,
    test: 'answers of Sentinels older than 2 s confirm nothing, and the reign goes on when new ones come',
  },
  {
    rule: 'The primary is confirmed after the reply.',
    without: 'confirmation-after-the-reply',
    file: REIGN,
    test: 'a new config epoch begins a new reign, although the node never stopped',
  },
  {
    rule: 'No command is sent whose answer could not be told.',
    without: 'confirmation-before-the-command',
    file: SENTINELS,
    test: 'a Sentinel that knows of four others raises the majority to three',
  },
  {
    rule: 'A confirmation is at most 2 s old.',
    without: 'confirmation-window',
    file: SENTINELS,
    test: 'answers of Sentinels older than 2 s confirm nothing, and the reign goes on when new ones come',
  },
  {
    rule: 'The age of a confirmation counts from the question, not from the answer.',
    without: 'asked-and-not-answered',
    file: REIGN,
    test: 'an adoption needs a majority that was asked after the reign was read',
  },
  {
    rule: 'Sentinels are told apart by their id.',
    without: 'sentinels-by-id',
    file: SENTINELS,
    test: 'two addresses of one Sentinel are one vote',
  },
  {
    rule: 'The majority is one of all Sentinels that exist.',
    without: 'sentinels-that-exist',
    file: SENTINELS,
    test: 'a Sentinel that knows of four others raises the majority to three',
  },
  {
    rule: 'The Sentinels of a majority agree on the config epoch too.',
    without: 'agreement-about-the-epoch',
    file: SENTINELS,
    test: 'votes for one address under two epochs do not add up',
  },
  // Late commands, clocks, tokens
  {
    rule: 'A late command does nothing.',
    without: 'not-after',
    file: ADOPTION,
    test: 'a command that a frozen Redis runs after its thaw does nothing when its caller has given up',
  },
  {
    rule: 'A command that was refused as late is tried once more.',
    without: 'late-is-tried-again',
    file: REIGN,
    test: 'after a late command, only newer answers of the Sentinels confirm the reign',
  },
  {
    rule: 'After a late command, only newer answers of the Sentinels count.',
    without: 'late-ages-confirmations',
    file: REIGN,
    test: 'after a late command, only newer answers of the Sentinels confirm the reign',
  },
  {
    rule: 'Deadlines are compared with the lease clock.',
    without: 'lease-clock',
    file: LOCKS,
    test: 'Redis > a step of the system clock > a step of the system clock forwards ends no lease early by more than the allowance that it carries',
  },
  {
    rule: 'A script advances the lease clock by 2 s at most.',
    without: 'clock-cap',
    file: LOCKS,
    test: 'Redis > a step of the system clock > a step of the system clock by a year drops no lock',
  },
  {
    rule: 'The lease clock never goes back.',
    without: 'clock-never-back',
    file: LOCKS,
    test: 'Redis > a step of the system clock > after a step of the system clock backwards, leases still end and tokens still grow',
  },
  {
    rule: 'Instances tick the lease clock.',
    without: 'ticks',
    file: ADOPTION,
    test: 'the lease clock goes on although nobody asks for anything',
  },
  {
    rule: 'A recorded deadline carries the skew allowance.',
    without: 'deadline-carries-the-allowance',
    file: LOCKS,
    test: 'Redis > expiry > a lapsed lease frees the resource when the deadline and the skew allowance have passed, not before',
  },
  {
    rule: 'No lease or attempt lasts longer than max_ttl, whenever it was asked for.',
    without: 'nothing-outlives-a-quarantine',
    file: 'test/integration/max-ttl.rules.test.ts',
    test: 'a smaller max_ttl bounds an operation that was recorded before it',
  },
  {
    rule: 'No key has a TTL.',
    without: 'no-key-ttl',
    file: ADOPTION,
    test: 'only the lease clock ends things: no key has a TTL',
  },
  {
    rule: 'Tokens are no smaller than the time.',
    without: 'time-in-tokens',
    file: ADOPTION,
    test: 'a Redis that restarts empty gives larger tokens, even if no instance has seen the former ones',
  },
  {
    rule: 'Tokens grow when the time does not.',
    without: 'count-in-tokens',
    file: LOCKS,
    test: 'Redis > a step of the system clock > after a step of the system clock backwards, leases still end and tokens still grow',
  },
  {
    rule: 'Numbers are written with all their digits.',
    without: 'whole-numbers',
    file: WAITING,
    test: 'Redis > the queue > tokens grow from hand-over to hand-over',
  },
  // Durability
  {
    rule: 'A success is told when the replicas have it.',
    without: 'replicas',
    file: BARRIER,
    test: 'an answer > an answer waits until a replica has what it tells',
  },
  {
    rule: 'WAIT follows a write of its own connection.',
    without: 'mark',
    file: BARRIER,
    test: 'an answer is not covered by an acknowledgement of what was written before it',
  },
  {
    rule: 'A mark covers what was replied before it was written.',
    without: 'mark-after-the-reply',
    file: BARRIER,
    test: 'an answer that comes while others are waited for is not covered by their mark',
  },
  {
    rule: 'A mark is written under the reign of the reply.',
    without: 'mark-of-this-reign',
    file: BARRIER,
    test: 'an answer is not covered by a mark that was written under another reign',
  },
  {
    rule: 'Repeats wait for the replicas as first answers do.',
    without: 'repeats-on-replicas',
    file: BARRIER,
    test: 'an answer to a repeat waits as the first one did',
  },
  {
    rule: 'Reads of operations wait for the replicas too.',
    without: 'reads-on-replicas',
    file: BARRIER,
    test: 'an answer about operations waits even when it only reads',
  },
  {
    rule: 'Refusals wait for no replica.',
    without: 'refusals-without-replicas',
    file: BARRIER,
    test: 'an answer that refuses waits for no replica',
  },
  {
    rule: 'A request may want more replicas than the default.',
    without: 'durability-of-a-request',
    file: BARRIER,
    test: 'a lease that asks for more replicas than the default gets them, and others get the default',
  },
  {
    rule: 'The lock of an operation may want more replicas than the default.',
    without: 'durability-of-an-operation',
    file: BARRIER,
    test: 'the lock of an operation that asks for more replicas gets them, for the first attempt and for each that is claimed',
  },
  {
    rule: 'No command is sent twice.',
    without: 'nothing-is-sent-again',
    file: ADOPTION,
    test: 'a command whose reply was lost is never sent again',
  },
  // Redis is full
  ...(
    ['no-grant', 'release-lock', 'renew-locks', 'confirm-offer', 'leave-queue', 'mark-commit'] as const
  ).map(
    (what): Rule => ({
      rule: `Redis is full: ${what === 'no-grant' ? 'nothing is granted' : `${what} goes on`}.`,
      without: `${what}-when-full`,
      file: BARRIER,
      test: 'a full Redis grants nothing, and lets held leases be renewed and released',
    }),
  ),
  {
    rule: 'Redis is full: the clock is ticked.',
    without: 'tick-clock-when-full',
    file: BARRIER,
    test: 'the clock of a full Redis is still ticked',
  },
  // Leases
  {
    rule: 'No renewal or repeat brings a deadline forward.',
    without: 'deadlines-only-grow',
    file: LOCKS,
    test: 'Redis > renew > a renewal never brings the deadline forward',
  },
  {
    rule: 'A renewal names the token.',
    without: 'renewals-name-the-token',
    file: LOCKS,
    test: 'Redis > renew > a renewal is refused for another token, another lease id or another resource',
  },
  {
    rule: 'A lapsed lease is never renewed.',
    without: 'lapsed-is-lapsed',
    file: LOCKS,
    test: 'Redis > a new reign > a new reign renews no inherited lease near its deadline, and keeps its resource taken until then',
  },
  {
    rule: 'The newest call speaks for a lease.',
    without: 'call-stamps',
    file: KEEPING,
    test: 'Redis > a newer call takes a lease over under the same token, and the older call no longer renews it',
  },
  {
    rule: 'A call gives back only grants that were no lease before it.',
    without: 'gives-back-no-repeat',
    file: 'test/integration/lock-service.acquire-many.test.ts',
    test: 'redis store > a first try for several locks that runs late gives back nothing that the second was told of',
  },
  {
    rule: 'The end of a stream ends no lease.',
    without: 'streams-end-nothing',
    file: CLIENT,
    test: 'When its stream is cut, a lease goes on with the other instance under the same token',
  },
  {
    rule: 'A holder counts from before it sent the call.',
    without: 'deadline-from-before-the-call',
    file: CLIENT,
    test: 'Renewals that are delayed on their way do not stretch the deadline',
  },
  {
    rule: 'Nothing revives a lease after its deadline.',
    without: 'over-for-good',
    file: 'test/unit/client.lease-deadline.test.ts',
    test: 'An answer that is read before the timer of the deadline fires does not revive the lease',
  },
  {
    rule: 'No server tells a renewal after the deadline that it told before.',
    without: 'kept-to-the-deadline',
    file: 'test/unit/renewal-wheel.test.ts',
    test: 'a renewal whose answer hangs does not delay the end of the lease, and does not revive it',
  },
  {
    rule: 'No stream renews after its renew_for.',
    without: 'renews-no-longer-than-renew-for',
    file: 'test/unit/renewal-wheel.test.ts',
    test: 'a store that fails until renew_for is over renews nothing when it is back',
  },
  {
    rule: 'No renewal that was sent before renew_for was over runs after it.',
    without: 'no-late-renewal-after-renew-for',
    file: 'test/unit/renewal-wheel.test.ts',
    test: 'a renewal that is on its way when renew_for ends cannot run later than that',
  },
  {
    rule: 'A look changes nothing.',
    without: 'a-look-changes-nothing',
    file: 'test/conformance/keep-alive.test.ts',
    test: 'Redis > a look tells how a lease stands, and neither extends it nor takes it over',
  },
  ...RULES_OF_BATCHES,
  ...RULES_OF_ROLL_CALLS,
];
