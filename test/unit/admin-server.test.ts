// The admin port on a free port, with metrics that the test makes up.
import { expect, test } from 'vitest';
import { AdminServer } from '../../src/admin/admin-server.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';

test('metrics that cannot be made are a 500 that says why, and the port goes on', async ({
  onTestFinished,
}) => {
  let isBroken = true;
  const metrics = {
    contentType: 'text/plain',
    text: async (): Promise<string> => {
      if (isBroken) throw new Error('no such number');
      return 'up 1\n';
    },
  };
  const admin = await AdminServer.start({ host: '127.0.0.1', port: 0 }, metrics, () => true);
  onTestFinished(() => admin.stop());
  const get = async (path: string): Promise<readonly [number, string]> => {
    const response = await fetch(`http://${formatHostPort(admin.address)}${path}`, {
      signal: AbortSignal.timeout(10_000),
    });
    return [response.status, await response.text()];
  };
  expect(await get('/metrics')).toEqual([500, 'Error: no such number\n']);
  expect(await get('/healthz')).toEqual([200, 'ok\n']);
  isBroken = false;
  expect(await get('/metrics')).toEqual([200, 'up 1\n']);
});
