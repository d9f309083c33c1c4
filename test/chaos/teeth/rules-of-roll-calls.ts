// The rules of the roll call, the mutant without each, and the test that fails then: a part of rules.ts.

import type { Rule } from './rules.ts';

const FAULTS = 'test/integration/roll-call.faults.test.ts';
const SUITE = 'test/conformance/roll-call.test.ts';
const TOKENS = 'test/integration/roll-call.tokens.test.ts';
const JOINING = 'test/unit/roll-call.joining.test.ts';

export const RULES_OF_ROLL_CALLS: readonly Rule[] = [
  {
    rule: 'A quarantine ends early only when all instances of the registry have answered.',
    without: 'everyone-answers',
    file: FAULTS,
    test: 'a quarantine does not end early before the last instance of the registry has answered',
  },
  {
    rule: 'A quarantine ends early only when one answer was fresh.',
    without: 'one-answer-is-fresh',
    file: FAULTS,
    test: 'a quarantine does not end early unless one answer is fresh',
  },
  {
    rule: 'An answer is fresh when the own entry is young.',
    without: 'fresh-by-its-age',
    file: JOINING,
    test: 'an answer is fresh when a majority named the primary not long before, by the own entry',
  },
  {
    rule: 'An entry says when a majority named the primary, not when it was ticked.',
    without: 'asked-and-not-ticked',
    file: JOINING,
    test: 'the entry names no time when no majority names the primary, although the instance ticks',
  },
  {
    rule: 'An instance reads its entry before it ticks.',
    without: 'joins-before-it-ticks',
    file: JOINING,
    test: 'an answer is fresh when a majority named the primary not long before, by the own entry',
  },
  {
    rule: 'A second adoption ends no quarantine before the end of the one that it found.',
    without: 'quarantine-found-lasts',
    file: FAULTS,
    test: 'a second failover ends no quarantine before the end of the one that it found',
  },
  {
    rule: 'No quarantine ends early while newcomers tell at once.',
    without: 'first-start-is-young',
    file: FAULTS,
    test: 'a quarantine lasts its whole time where newcomers told at once just before',
  },
  {
    rule: 'A newcomer tells nothing for a while.',
    without: 'newcomers-wait',
    file: JOINING,
    test: 'an instance that registers tells nothing until it has waited',
  },
  {
    rule: 'Who was away for long is a newcomer.',
    without: 'away-is-new',
    file: JOINING,
    test: 'an instance that was away for longer than a lease may last registers again',
  },
  {
    rule: 'Who is alone tells at once only after the full quarantine.',
    without: 'alone-after-the-full-end',
    file: FAULTS,
    test: 'an instance that is alone is a newcomer all the same while the quarantine could last',
  },
  {
    rule: 'The entry of a dead instance stays until all that it told is over.',
    without: 'entries-are-kept',
    file: FAULTS,
    test: 'an instance that ticks no more stays in the registry until all that it told is over',
  },
  {
    rule: 'No entry is dropped in a quarantine.',
    without: 'owing-entries-are-kept',
    file: FAULTS,
    test: 'an instance that told its last before it died is waited for in a quarantine',
  },
  {
    rule: 'A script refuses a caller that is not in the registry.',
    without: 'registered-callers-only',
    file: FAULTS,
    test: 'an instance that is not in the registry is told nothing',
  },
  {
    rule: 'Who owes an answer does not leave the registry.',
    without: 'owing-stays-registered',
    file: FAULTS,
    test: 'an instance that owes an answer does not leave the registry',
  },
  {
    rule: 'From joining on, nothing is told of another reign.',
    without: 'one-reign-is-told-of',
    file: JOINING,
    test: 'nothing is told of another reign once the next one is joined',
  },
  {
    rule: 'What was told and the data lack is put back.',
    without: 'put-back',
    file: FAULTS,
    test: 'a lease that the data lack is put back, and is renewed',
  },
  {
    rule: 'Putting back raises the deadline of a lease that is known.',
    without: 'put-back-raises',
    file: FAULTS,
    test: 'a lease whose last renewal the data lack lasts as long as its holder was told',
  },
  {
    rule: 'An instance answers with the last lease that it puts back.',
    without: 'put-back-before-answered',
    file: JOINING,
    test: 'the last of several batches is the answer, and no earlier one',
  },
  {
    rule: 'Known is what was told below the cut.',
    without: 'known-below-the-cut',
    file: JOINING,
    test: 'what the data cannot know is put back: all that was told since the cut, or elsewhere',
  },
  {
    rule: 'A min_hold is put back.',
    without: 'min-hold-is-put-back',
    file: FAULTS,
    test: 'a min_hold that the data lack goes on, although its lease is over',
  },
  {
    rule: 'A min_hold is remembered after the release.',
    without: 'min-hold-outlives-the-lease',
    file: JOINING,
    test: 'a min_hold is remembered although its lease was released',
  },
  {
    rule: 'A release that the data lack is repeated.',
    without: 'releases-are-repeated',
    file: SUITE,
    test: 'roll call: Redis > what was told of is put back > who waits for a lease whose release the new primary lacks is granted the lock at the end of the quarantine',
  },
  {
    rule: 'A release that is repeated names the token of its lease.',
    without: 'releases-name-the-token',
    file: FAULTS,
    test: 'a release that is repeated takes no newer lease of its id away',
  },
  {
    rule: 'What was released is not put back.',
    without: 'released-is-not-put-back',
    file: FAULTS,
    test: 'a lease that was released through another instance is not put back, whichever of them answers first',
  },
  {
    rule: 'The end of a max_hold is put back.',
    without: 'max-hold-is-put-back',
    file: FAULTS,
    test: 'a lease is put back with the end of its max_hold, and no renewal passes that',
  },
  {
    rule: 'A confirmed offer is put back as a lease.',
    without: 'put-back-offers-are-leases',
    file: FAULTS,
    test: 'an offer that its holder was told of is a lease after the failover',
  },
  {
    rule: 'Putting back undoes no force-release.',
    without: 'put-back-is-not-freed',
    file: FAULTS,
    test: 'a lease that was taken away by force stays so, although its instance puts it back',
  },
  {
    rule: 'Leases that do not go together admit nobody.',
    without: 'mixed-modes-admit-nobody',
    file: FAULTS,
    test: 'where leases are put back that do not go together, nobody else is admitted',
  },
  {
    rule: 'Permits that are put back count.',
    without: 'put-back-permits-count',
    file: FAULTS,
    test: 'permits that are put back count for the limit',
  },
  {
    rule: 'An answer raises the token to the largest that was seen.',
    without: 'answers-raise-the-token',
    file: FAULTS,
    test: 'a token after a roll call is larger than all that any instance has seen',
  },
  {
    rule: 'A grant is noted before it is told.',
    without: 'grants-are-noted',
    file: FAULTS,
    test: 'a grant is remembered, and a renewal by another instance too',
  },
  {
    rule: 'A renewal is noted before it is told.',
    without: 'renewals-are-noted',
    file: FAULTS,
    test: 'a grant is remembered, and a renewal by another instance too',
  },
  {
    rule: 'A confirmation is noted before it is told.',
    without: 'offers-are-noted',
    file: FAULTS,
    test: 'a confirmed offer is remembered as a lease',
  },
  {
    rule: 'The lease of an attempt is noted before it is told.',
    without: 'attempts-are-noted',
    file: FAULTS,
    test: 'the lease of an attempt is remembered',
  },
  {
    rule: 'Of answers that overtake each other, each field counts at its largest.',
    without: 'told-is-merged',
    file: JOINING,
    test: 'of two answers about a lease that overtake each other, the later deadline counts',
  },
  {
    rule: 'Who told more than it remembers owes its answer.',
    without: 'beyond-the-bound-is-incomplete',
    file: JOINING,
    test: 'an instance that told more than it remembers is incomplete until that is over',
  },
  {
    rule: 'What cannot be renewed blocks until its deadline.',
    without: 'lapsed-blocks',
    file: FAULTS,
    test: 'an inherited lease that nothing renews any more blocks until its deadline',
  },
  {
    rule: 'Leases of this reign are renewed until their deadline.',
    without: 'lapsed-only-inherited',
    file: FAULTS,
    test: 'a lease of this reign is renewed although it ends soon',
  },
  {
    rule: 'An inherited grant is not repeated before the full end.',
    without: 'no-repeat-before-the-full-end',
    file: FAULTS,
    test: 'an inherited grant is not repeated before the full end of the quarantine',
  },
  {
    rule: 'A lease_id whose record blocks gets no second grant.',
    without: 'one-lease-of-an-id',
    file: FAULTS,
    test: 'a shared lease_id gets no second grant beside its inherited record',
  },
  {
    rule: 'What was told under a reign is never put back in it.',
    without: 'told-here-is-known-here',
    file: JOINING,
    test: 'what was told under the very reign that is joined again is never put back',
  },
  {
    rule: 'A put-back lease keeps the order in which it was told.',
    without: 'told-order-is-kept',
    file: JOINING,
    test: 'a lease is put back with the order in which it was told, however often it is put back',
  },
  {
    rule: 'A later record of a lease_id is not replaced.',
    without: 'later-record-of-an-id-stays',
    file: TOKENS,
    test: 'a lease id that was used again keeps its later lease when the former one is put back',
  },
  {
    rule: 'Of exclusive leases only the largest token is valid.',
    without: 'larger-token-is-the-last',
    file: TOKENS,
    test: 'the token of a lease that was over is not valid beside the later one that a roll call put back',
  },
  {
    rule: 'A token that another primary may have outdated is not valid before the roll call.',
    without: 'tokens-wait-for-the-roll-call',
    file: TOKENS,
    test: 'a token is not known to be valid behind a quarantine that had not heard of all',
  },
  {
    rule: 'Operations wait for the full end.',
    without: 'operations-wait-for-the-full-end',
    file: FAULTS,
    test: 'no operation is claimed before the full end of the quarantine',
  },
  {
    rule: 'A TIME that lies behind gives back first.',
    without: 'clock-gives-back',
    file: FAULTS,
    test: 'a system clock that steps to the edge and back twice advances the lease clock once',
  },
  {
    rule: 'An adoption advances the lease clock by the allowance at most.',
    without: 'adoption-clock-cap',
    file: FAULTS,
    test: 'a step of all system clocks during a failover advances the lease clock by the allowance only',
  },
];
