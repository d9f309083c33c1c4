// Two settings of the kernel that Redis warns of in its log. They can be read on the machine of Redis alone.

import { formatHostPort } from '../../domain/host-port.ts';
import { info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, type Look, type RedisNodeFacts, seenOf } from '../facts.ts';

export const KERNEL_CHECKS: readonly Check[] = [
  {
    name: 'transparent-huge-pages',
    about:
      'They are not `always` on, or Redis has switched them off for itself. Seen for nodes on this machine alone.',
    judge: hugePages,
  },
  {
    name: 'overcommit-memory',
    about: '`vm.overcommit_memory` is 1. Seen for nodes on this machine alone.',
    judge: overcommit,
  },
];

function hugePages(examined: Examined): readonly Judgement[] {
  return here(examined, examined.facts.host.transparentHugePages, 'transparent huge pages', (mode, node) => {
    const subject = formatHostPort(node.address);
    const seen = `transparent huge pages are "${mode}"`;
    if (mode !== 'always') return ok(subject, seen);
    if (seenOf(node.settings)?.get('disable-thp') === 'yes')
      return ok(subject, `${seen}, and Redis has switched them off for itself`);
    return warning(subject, {
      seen,
      why: 'after each fork, Redis copies 2 MB for each small write: it stops for longer and takes more memory',
      fix: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled',
    });
  });
}

function overcommit(examined: Examined): readonly Judgement[] {
  return here(examined, examined.facts.host.overcommitMemory, 'vm.overcommit_memory', (value, node) => {
    const subject = formatHostPort(node.address);
    if (value === '1') return ok(subject, 'vm.overcommit_memory is 1');
    return warning(subject, {
      seen: `vm.overcommit_memory is ${value}`,
      why: 'when memory is short, the fork for a snapshot or a rewrite of the append-only file fails, and Redis then refuses writes',
      fix: 'sysctl -w vm.overcommit_memory=1 && echo vm.overcommit_memory=1 >> /etc/sysctl.d/99-redis.conf',
    });
  });
}

function here(
  { facts }: Examined,
  look: Look<string>,
  what: string,
  judge: (value: string, node: RedisNodeFacts) => Judgement,
): readonly Judgement[] {
  const value = seenOf(look);
  const local = value === undefined ? [] : facts.nodes.filter(({ isHere }) => isHere);
  const elsewhere = facts.nodes.filter((node) => !local.includes(node));
  const judged = local.map((node) => judge(value ?? '', node));
  if (elsewhere.length === 0) return judged;
  const nodes = elsewhere.map(({ address }) => formatHostPort(address)).join(', ');
  const reason = 'unseen' in look ? ` (${look.unseen})` : '';
  return [
    ...judged,
    info('deployment', {
      seen: `${what} of ${nodes} can't be seen from here${reason}`,
      why: "Redis doesn't tell it to clients",
      fix: 'look into the log of each node: it warns at its start',
    }),
  ];
}
