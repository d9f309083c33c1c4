// Three etcd members on this machine, of which the leader can be killed. Owns which member leads; the members own their
// processes.
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { eventually } from '../../test/support/eventually.ts';
import { freePorts } from '../../test/support/ports.ts';
import { CallFrames } from '../loads/call-frames.ts';
import { FrameClient } from '../loads/frame-client.ts';
import { EtcdServer } from './etcd-server.ts';
import type { Program } from './installed.ts';

const MEMBERS = 3;
const LED_WITHIN_MS = 30_000;
const STATUS = '/etcdserverpb.Maintenance/Status';

export class EtcdCluster {
  readonly #members: readonly EtcdServer[];

  private constructor(members: readonly EtcdServer[]) {
    this.#members = members;
  }

  /** Returns when it grants leases. Its election and heartbeat timeouts are etcd's own: 1 s and 100 ms. */
  static async start(program: Program): Promise<EtcdCluster> {
    const ports = await freePorts(2 * MEMBERS);
    const seats = Array.from({ length: MEMBERS }, (_, index) => ({
      name: `member-${index}`,
      clientPort: ports[2 * index] ?? 0,
      peerPort: ports[2 * index + 1] ?? 0,
    }));
    const started = await Promise.allSettled(seats.map((seat) => EtcdServer.member(program, seat, seats)));
    const members = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const cluster = new EtcdCluster(members);
    const failed = started.find((each) => each.status === 'rejected');
    if (failed) {
      await cluster.stop();
      throw failed.reason;
    }
    return cluster;
  }

  /** Returns the member that led, and the addresses of the others. */
  async killLeader(): Promise<{ readonly killed: EtcdServer; readonly others: readonly string[] }> {
    const killed = await eventually(() => this.#leader(), {
      what: 'an etcd leader',
      withinMs: LED_WITHIN_MS,
    });
    const others = this.#members.filter((member) => member !== killed).map(({ address }) => address);
    killed.kill();
    return { killed, others };
  }

  /** Ends it at once, and removes its data. */
  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()));
  }

  async #leader(): Promise<EtcdServer | false> {
    for (const member of this.#members) if (await leads(member.address)) return member;
    return false;
  }
}

async function leads(address: string): Promise<boolean> {
  const client = await FrameClient.connect(address);
  try {
    const answer = await client.call(new CallFrames(address, STATUS, new Uint8Array()));
    // StatusResponse { ResponseHeader header = 1 { uint64 member_id = 2 }; uint64 leader = 4 }
    const reader = new BinaryReader(answer);
    let member = '';
    let leader = 'none';
    while (reader.pos < reader.len) {
      const [found, wireType] = reader.tag();
      if (found === 1) member = memberIn(reader.bytes());
      else if (found === 4) leader = String(reader.uint64());
      else reader.skip(wireType);
    }
    return member === leader;
  } finally {
    client.close();
  }
}

function memberIn(header: Uint8Array): string {
  const reader = new BinaryReader(header);
  while (reader.pos < reader.len) {
    const [found, wireType] = reader.tag();
    if (found === 2) return String(reader.uint64());
    reader.skip(wireType);
  }
  return '';
}
