// What survives a restart of a node, and whether its disk keeps up.

import { error, info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, type RedisNodeFacts, seenOf } from '../facts.ts';
import { redisAdminCli, setting } from '../redis-cli-text.ts';
import { numberIn, ofEach, ofEachSetting, spanText } from './node-judgements.ts';

const OLD_SNAPSHOT_S = 30 * 60;
const SLOW_DISK_MS = 1_000;
const SLOW_FORK_US = 1_000_000;
/** What the latency monitor calls the waits for the disk. */
const DISK_EVENTS = /^(aof-|rdb-)/;

export const PERSISTENCE_CHECKS: readonly Check[] = [
  {
    name: 'append-only-file',
    about: '`appendonly` is `yes`, with `appendfsync everysec`.',
    judge: appendOnlyFile,
  },
  {
    name: 'snapshots',
    about:
      '`save` has a snapshot point, and the last snapshot is not older than 30 minutes when there were changes.',
    judge: snapshots,
  },
  {
    name: 'last-writes',
    about: 'The last snapshot and the last write to the append-only file succeeded.',
    judge: lastWrites,
  },
  {
    name: 'disk-latency',
    about:
      "The disk and the forks of Redis don't stop it: delayed fsyncs, the latency monitor, the last fork.",
    judge: diskLatency,
  },
];

function appendOnlyFile(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, { address, settings }) => {
      if (fields.get('aof_enabled') === undefined) return undefined;
      if (fields.get('aof_enabled') !== '1') {
        return warning(subject, {
          seen: 'appendonly is no',
          why: 'a node that restarts has lost all since its last snapshot: operations that nobody has elsewhere, and locks until their holders notice',
          fix: setting(redis, address, 'appendonly', 'yes'),
        });
      }
      const sync = seenOf(settings)?.get('appendfsync');
      const everySecond = setting(redis, address, 'appendfsync', 'everysec');
      if (sync === 'no') {
        return warning(subject, {
          seen: 'appendfsync is no',
          why: 'a crash of the machine loses what the kernel has not written yet, up to half a minute',
          fix: everySecond,
        });
      }
      if (sync === 'always') {
        return info(subject, {
          seen: 'appendfsync is always',
          why: 'every write waits for the disk, and it buys no safety: a restart counts as one that lost something',
          fix: everySecond,
        });
      }
      return ok(subject, `appendonly is yes${sync === undefined ? '' : `, appendfsync is ${sync}`}`);
    },
  );
}

function snapshots(examined: Examined): readonly Judgement[] {
  const { redis, facts } = examined;
  return ofEachSetting(examined, 'save', (subject, save, { address, info: text }) => {
    if (save.trim() === '') {
      return warning(subject, {
        seen: 'no snapshots are made (save is empty)',
        why: 'nothing is left when the append-only file is damaged, and there is no backup',
        fix: setting(redis, address, 'save', '900 1'),
      });
    }
    const fields = seenOf(text) ?? new Map<string, string>();
    const ageS = facts.nowMs / 1_000 - (numberIn(fields, 'rdb_last_save_time') ?? facts.nowMs / 1_000);
    const changes = numberIn(fields, 'rdb_changes_since_last_save') ?? 0;
    if (ageS > OLD_SNAPSHOT_S && changes > 0) {
      return warning(subject, {
        seen: `the last snapshot is ${spanText(ageS * 1_000)} old, with ${changes} changes since (save "${save}")`,
        why: 'a backup of it would tell of the past, and its writing may fail',
        fix: redisAdminCli(redis, address, 'BGSAVE'),
      });
    }
    return ok(subject, `save is "${save}", the last snapshot is ${spanText(Math.max(0, ageS) * 1_000)} old`);
  });
}

function lastWrites(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, { address, settings, role }) => {
      const failed = [
        fields.get('rdb_last_bgsave_status') === 'err' ? 'the last snapshot' : '',
        fields.get('aof_last_write_status') === 'err' ? 'the last write to the append-only file' : '',
        fields.get('aof_last_bgrewrite_status') === 'err' ? 'the last rewrite of the append-only file' : '',
      ].filter((what) => what !== '');
      if (failed.length === 0) return ok(subject, 'the last snapshot and the last writes succeeded');
      const stops = seenOf(settings)?.get('stop-writes-on-bgsave-error') !== 'no';
      const told = {
        seen: `failed: ${failed.join(', ')}`,
        why:
          stops && role === 'primary'
            ? "Redis refuses all writes, renewals too, while it can't save (MISCONF)"
            : 'a restart of this node would lose data',
        fix: `free or repair the disk of the node (its log says what failed), then ${redisAdminCli(redis, address, 'BGSAVE')}`,
      };
      return stops && role === 'primary' ? error(subject, told) : warning(subject, told);
    },
  );
}

function diskLatency(examined: Examined): readonly Judgement[] {
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, node) => {
      const delayed = numberIn(fields, 'aof_delayed_fsync') ?? 0;
      const forkUs = numberIn(fields, 'latest_fork_usec') ?? 0;
      const slow = slowEvents(node);
      const seen = [
        delayed > 0 ? `${delayed} writes waited for an fsync since Redis started` : '',
        ...slow,
        forkUs > SLOW_FORK_US ? `the last fork took ${spanText(forkUs / 1_000)}` : '',
      ].filter((what) => what !== '');
      if (seen.length > 0) {
        return warning(subject, {
          seen: seen.join('; '),
          why: 'Redis stops for so long: calls time out, and a longer stop becomes a failover',
          fix: 'give Redis a disk of its own or a faster one, and look at LATENCY DOCTOR there',
        });
      }
      return monitorIsOff(examined, subject, node) ?? ok(subject, 'no delayed fsync, no slow fork');
    },
  );
}

function slowEvents({ latency }: RedisNodeFacts): readonly string[] {
  return (seenOf(latency) ?? [])
    .filter(({ event, maxMs }) => DISK_EVENTS.test(event) && maxMs >= SLOW_DISK_MS)
    .map(({ event, maxMs }) => `${event} took up to ${spanText(maxMs)}`);
}

function monitorIsOff({ redis }: Examined, subject: string, node: RedisNodeFacts): Judgement | undefined {
  if (seenOf(node.settings)?.get('latency-monitor-threshold') !== '0') return undefined;
  return info(subject, {
    seen: 'no delayed fsync, no slow fork; the latency monitor is off',
    why: 'shorter stops of the disk are not seen',
    fix: setting(redis, node.address, 'latency-monitor-threshold', '100'),
  });
}
