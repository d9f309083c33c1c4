// May the users do what an instance needs, and could the examination see all that it wants to see?

import { formatHostPort } from '../../domain/host-port.ts';
import { lackInWords } from '../../store/redis/user-rights.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, type Look, SETTINGS_READ, seenOf } from '../facts.ts';
import { allowAtRedis, allowAtSentinel } from '../redis-cli-text.ts';
import { ofEach } from './node-judgements.ts';
import { troubleWith } from './reach-checks.ts';

export const RIGHTS_CHECKS: readonly Check[] = [
  {
    name: 'redis-rights',
    about:
      'On every node, the Redis user has each right that an instance needs. None of the commands is run.',
    judge: redisRights,
  },
  {
    name: 'sentinel-rights',
    about: 'The user at the Sentinels may ask for the primary and hear of switches.',
    judge: sentinelRights,
  },
  {
    name: 'rights-to-look',
    about:
      'The examination may read what it judges: `CONFIG GET`, `INFO`, `LATENCY`, and the questions to Sentinels.',
    judge: rightsToLook,
  },
];

function redisRights(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ lackingRights }) => lackingRights,
    (subject, lacking, { address, role, settings }) => {
      if (lacking.length === 0) return ok(subject, 'the user has all rights that an instance needs');
      return error(subject, {
        seen: lackInWords(redis.credentials?.username, lacking),
        why:
          role === 'primary'
            ? 'an instance refuses to serve'
            : 'an instance refuses to serve once this replica is the primary: replication does not carry users',
        fix: allowAtRedis(redis, address, lacking, seenOf(settings)?.get('aclfile')),
      });
    },
  );
}

function sentinelRights({ redis, facts }: Examined): readonly Judgement[] {
  return facts.sentinels.flatMap(({ address, view, subscription }) => {
    if ('unseen' in view) return []; // reach-sentinels has said why
    const subject = formatHostPort(address);
    if ('seen' in subscription) return [ok(subject, 'the user may ask for the primary and hear of switches')];
    return [
      warning(subject, {
        seen: `SUBSCRIBE +switch-master: ${subscription.unseen}`,
        why: "an instance counts no Sentinel to which it can't subscribe",
        fix: allowAtSentinel(redis, address, ['+subscribe', '&+switch-master']),
      }),
    ];
  });
}

interface Blind {
  readonly right: string;
  readonly look: Look<unknown>;
  readonly unknown: string;
  readonly matters: boolean;
}

function rightsToLook(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  const nodes = facts.nodes.flatMap((node) => {
    const blind: readonly Blind[] = [
      {
        right: '+info',
        look: node.info,
        unknown: 'version, memory, persistence and replication',
        matters: true,
      },
      {
        right: '+config|get',
        look: node.settings,
        unknown: `the settings ${SETTINGS_READ.join(', ')}`,
        matters: true,
      },
      { right: '+time', look: node.clock, unknown: 'its clock and the round trip', matters: true },
      {
        right: '+eval',
        look: node.lackingRights,
        unknown: 'whether an instance has its rights',
        matters: true,
      },
      {
        right: '+latency|latest',
        look: node.latency,
        unknown: 'how long its disk and its forks take',
        matters: false,
      },
    ];
    const subject = formatHostPort(node.address);
    const allow = (right: string): string =>
      allowAtRedis(redis, node.address, [right], seenOf(node.settings)?.get('aclfile'));
    return troubleWith(node) !== undefined
      ? []
      : blind.flatMap((one) => blindness(subject, one, allow(one.right)));
  });
  const sentinels = facts.sentinels.flatMap(({ address, view, info: text, quorumCheck }) => {
    if ('unseen' in view) return [];
    const missing: readonly Blind[] = [
      ...[...view.seen.refused.keys()].map((question) => ({
        right: `+sentinel|${question.toLowerCase()}`,
        look: { unseen: 'NOPERM' },
        unknown: 'what it knows of the others',
        matters: true,
      })),
      { right: '+info', look: text, unknown: 'whether it is in TILT mode', matters: false },
      {
        right: '+sentinel|ckquorum',
        look: quorumCheck,
        unknown: 'whether it could decide on a failover',
        matters: true,
      },
    ];
    return missing.flatMap((one) =>
      blindness(formatHostPort(address), one, allowAtSentinel(redis, address, [one.right])),
    );
  });
  const all = [...nodes, ...sentinels];
  return all.length > 0 || facts.nodes.length === 0
    ? all
    : [ok('deployment', 'everything could be looked at')];
}

function blindness(subject: string, { look, unknown, matters }: Blind, fix: string): readonly Judgement[] {
  if (!('unseen' in look)) return [];
  const told = {
    seen: `could not look: ${look.unseen}`,
    why: `unknown: ${unknown}`,
    fix: /NOPERM/.test(look.unseen) ? fix : 'see the reason above',
  };
  return [matters ? warning(subject, told) : info(subject, told)];
}
