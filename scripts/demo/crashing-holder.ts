// A process that takes a lease with `Hold` and keeps it until it is killed. It sends "held TOKEN" to its parent.
//
//   node crashing-holder.ts HOST:PORT RESOURCE TTL_MS
import { parseHostPort } from '../../src/domain/host-port.ts';
import { hold } from '../../test/support/lease-stream.ts';
import { duration, TestClient } from '../../test/support/test-instance.ts';

const [server = '', resource = '', ttlMs = ''] = process.argv.slice(2);
const address = parseHostPort(server, 1);
if (!address) throw new Error(`no address: ${server}`);
process.once('disconnect', () => process.exit(0)); // The demo is gone.
const stream = hold(new TestClient(address), { resource, owner: 'crasher', ttl: duration(Number(ttlMs)) });
const { fencingToken } = await stream.event('granted');
process.send?.(`held ${fencingToken}`);
