// Which changes of the primary the monitor believes when it hears no announcement: a majority has to name another node.
// The Sentinels are those that a test tells what to say; how real ones announce a failover is in
// monitor.sentinels.test.ts.
import { describe, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { MonitoredInstance } from '../support/monitored-instance.ts';
import { ownRedis, startSentinels, throughSentinels } from '../support/watched-redis.ts';

describe('a switch that was announced to nobody', () => {
  test('counts as a failover once a majority of the Sentinels names another node, and only then', async ({
    onTestFinished,
  }) => {
    const [old, next] = [await ownRedis(onTestFinished), await ownRedis(onTestFinished)];
    const [formerName, nextName] = [old, next].map(({ listens }) => formatHostPort(listens));
    const sentinels = await startSentinels(onTestFinished, 3, old.listens);
    const monitored = await MonitoredInstance.start({
      ...throughSentinels(sentinels),
      LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    });
    onTestFinished(() => monitored.stop());
    const lastFailover = (): Promise<number> => monitored.value('leasehold_last_failover_timestamp_seconds');
    await monitored.shows('leasehold_redis_up', { node: formerName ?? '' }, [1]);
    const claim = { primary: next.listens, configEpoch: 2 };
    sentinels[0]?.say(claim);
    await monitored.shows('leasehold_sentinel_config_epoch', {}, [2, 0, 0]);
    await monitored.shows('leasehold_redis_up', {}, [1]);
    expect(await lastFailover()).toBe(0);
    const beforeSeconds = Date.now() / 1_000;
    sentinels[1]?.say(claim);
    await monitored.shows('leasehold_redis_up', { node: nextName ?? '' }, [1]);
    expect(await lastFailover()).toBeGreaterThanOrEqual(beforeSeconds);
    const told = monitored.logged('the Sentinels name another primary');
    expect(told).toMatchObject([{ level: 40, node: nextName, former: formerName }]);
    // These Sentinels tell of no replicas, and refuse to be asked for them.
    await monitored.shows('leasehold_collector_up', { collector: 'sentinels' }, [0]);
    await monitored.shows('leasehold_sentinel_up', {}, [1, 1, 1]);
  });
});
