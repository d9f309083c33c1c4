// The admin port when what it is to show can't be read.
import { expect, test } from 'vitest';
import { AdminServer } from '../../src/admin/admin-server.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';

test('A scrape that fails is answered with 500 and told, and the next question is answered', async () => {
  const thrown: unknown[] = [];
  const error = new Error('a collector failed');
  const metrics = { contentType: 'text/plain', text: () => Promise.reject(error) };
  const address = { host: '127.0.0.1', port: 0 };
  const admin = await AdminServer.start(
    address,
    metrics,
    () => true,
    {},
    (defect) => thrown.push(defect),
  );
  const codeOf = async (path: string): Promise<number> =>
    (await fetch(`http://${formatHostPort(admin.address)}${path}`)).status;
  try {
    expect(await codeOf('/metrics')).toBe(500);
    expect(thrown).toEqual([error]);
    expect(await codeOf('/readyz')).toBe(200);
  } finally {
    await admin.stop();
  }
});
