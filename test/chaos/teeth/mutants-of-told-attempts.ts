// Mutants that start an operation after an early end although its attempt, or one that stands in its way, may run.

import type { Mutant } from './mutant.ts';

const LUA = 'src/store/redis/lua';
const OPERATING = `${LUA}/operating.lua`;
const ANSWER = `${LUA}/answer-attempts.lua`;

export const MUTANTS_OF_TOLD_ATTEMPTS: readonly Mutant[] = [
  {
    name: 'told-attempts-bar',
    letsThrough:
      'Operations are begun and claimed after an early end although an instance told of an attempt that the failover ' +
      'forgot. Two run one operation.',
    edits: [
      {
        file: OPERATING,
        find: "  local bar = redis.call('HGET', state.bucket .. 'bars', name)",
        replace: '  local bar = false',
      },
    ],
  },
  {
    name: 'told-attempts-raise',
    letsThrough:
      'A heartbeat that the failover forgot does not count. The recorded attempt is stale while its worker goes on.',
    edits: [
      {
        file: ANSWER,
        find: 'if not op.lock and deadline + untaken > op.deadline then',
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'raised-attempts-get-what-the-clock-left',
    letsThrough:
      'No promise breaks, but a heartbeat that was told of a moment ago is in vain after a long time without a primary.',
    edits: [
      {
        file: ANSWER,
        find: '      op.deadline = deadline + untaken\n',
        replace: '      op.deadline = deadline\n',
      },
    ],
  },
  {
    name: 'attempts-may-get-more-time',
    letsThrough:
      'A worker hears that its attempt is over, although who told it of a later deadline has not answered the roll call ' +
      'yet. Its result is refused.',
    edits: [
      {
        file: OPERATING,
        find: 'if not may_be_put_back(state) then return false end',
        replace: 'if not op.lock or not may_be_put_back(state) then return false end',
      },
    ],
  },
  {
    name: 'lost-attempts-are-remembered',
    letsThrough:
      'An instance forgets an attempt when it answers that it is lost. That answer is lost too, and its worker goes on; ' +
      'nobody tells the next primary, and two run one operation.',
    edits: [
      {
        file: 'src/store/redis/told-answers.ts',
        find: "attempt && (word === 'finished' || word === 'yielded')",
        replace: "attempt && word !== 'moved'",
      },
    ],
  },
  {
    name: 'earlier-attempts-are-overtaken',
    letsThrough:
      'An inherited attempt lives although a later one of its operation was told of. Its worker asks for it late, and ' +
      'two run one operation.',
    edits: [
      {
        file: OPERATING,
        find: "    if later and tonumber(string.match(later, '^%d+')) > tonumber(op.token) then return false end\n",
        replace: '',
      },
    ],
  },
  {
    name: 'attempts-are-judged-after-all-have-answered',
    letsThrough:
      'A tick finds an operation dead, whose attempts are used up, while the answer is missing that puts its lease back. ' +
      'Its worker hears that it has finished.',
    edits: [
      {
        file: OPERATING,
        find: 'if not op.indexed and may_live_again(state, op, name) then',
        replace: 'if false then',
      },
    ],
  },
  {
    name: 'attempts-with-a-lease-bar',
    letsThrough:
      'Only the lease of an attempt is put back. A shared one keeps nobody out, and two run one operation.',
    edits: [
      {
        file: 'src/store/redis/told-answers.ts',
        find: '  told.attempts.note({\n',
        replace: '  if (!lock)\n  told.attempts.note({\n',
      },
    ],
  },
  {
    name: 'bars-count-as-open',
    letsThrough:
      'What a failover forgot does not count as open. A second exclusive operation of the resource is begun beside the ' +
      'one whose worker goes on.',
    edits: [
      {
        file: OPERATING,
        find: "  local longest = redis.call('HGET', state.bucket .. 'bars', exclusive and resource or resource .. '\\n')",
        replace: '  local longest = false',
      },
    ],
  },
  {
    name: 'lapsed-attempts-keep-out',
    letsThrough:
      'An inherited attempt that nothing renews any more keeps nobody out. Its worker goes on to the deadline that it ' +
      'was told, and a second one starts.',
    edits: [
      {
        file: OPERATING,
        find: '  if not in_full_quarantine(state) then return false end\n',
        replace: '  if true then return false end\n',
      },
    ],
  },
  {
    name: 'lapsed-only-inherited-attempts',
    letsThrough:
      'No promise breaks, but a short attempt that was started after an early end is over at once: the rule for ' +
      'inherited ones takes it.',
    edits: [
      {
        file: OPERATING,
        find: 'or not is_unproved then',
        replace: 'or not in_full_quarantine(state) then',
      },
    ],
  },
  {
    name: 'barred-attempts-stay-barred',
    letsThrough:
      'An adoption seconds after another bars less than that one did. An attempt that an isolated primary gave to ' +
      'somebody else lives again.',
    edits: [
      {
        file: OPERATING,
        find: 'inherited_bar(state, tonumber(op.token) > adoption_tokens(state).older)',
        replace: 'inherited_bar(state, true)',
      },
    ],
  },
  {
    name: 'no-repeat-of-attempts-before-the-full-end',
    letsThrough:
      'An inherited claim is repeated after an early end. The last claim of A was told to nobody; B let somebody else ' +
      'claim the operation; A is chosen again, and the first caller repeats its call.',
    edits: ['begin-operation', 'claim-operations'].map((script) => ({
      file: `${LUA}/${script}.lua`,
      find: 'if is_unproved_attempt(state, op) then',
      replace: 'if false then',
    })),
  },
];
