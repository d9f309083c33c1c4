// What every store must do with the texts that instances leave for each other.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TEXT_KEPT_MS } from '../../src/store/contention-board.ts';
import { INSTANCE_ID, inTime, type StoreHarness } from '../support/store-harness.ts';

export function contentionBoardSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`contention board: ${name}`, () => {
    let h: StoreHarness;

    beforeEach(async () => {
      h = await open();
    });
    afterEach(() => h.close());

    const texts = async () => (await h.contention.read(inTime())).texts.map(({ text }) => text);

    test('An instance reads the last text that it wrote, with the time', async () => {
      expect(await texts()).toEqual([]);
      await h.contention.write('first', inTime());
      await h.contention.write('two words\nand "é\u{1f600}"', inTime());
      await h.step(10_000);
      const {
        nowWallMs,
        texts: [read],
      } = await h.contention.read(inTime());
      expect(read).toMatchObject({ instanceId: INSTANCE_ID, text: 'two words\nand "é\u{1f600}"' });
      expect(nowWallMs - (read?.writtenWallMs ?? 0)).toBeCloseTo(10_000, 0);
    });

    test('An empty text takes away what was there', async () => {
      await h.contention.write('', inTime());
      await h.contention.write('x', inTime());
      await h.contention.write('', inTime());
      expect(await texts()).toEqual([]);
    });

    test('A text is gone when nobody has written it again for a while, and after a step of the clock', async () => {
      await h.contention.write('x', inTime());
      await h.step(TEXT_KEPT_MS);
      expect(await texts()).toEqual(['x']);
      await h.step(1);
      expect(await texts()).toEqual([]);
      await h.contention.write('y', inTime());
      await h.step(-TEXT_KEPT_MS - 1);
      expect(await texts()).toEqual([]);
    });

    test('A text outlives a failover, and is refused by no quarantine', async () => {
      await h.contention.write('before', inTime());
      await h.beginReign();
      expect(await texts()).toEqual(['before']);
      await h.contention.write('in the quarantine', inTime());
      expect(await texts()).toEqual(['in the quarantine']);
    });
  });
}
