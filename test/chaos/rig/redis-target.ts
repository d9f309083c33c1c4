// A Redis node or a Sentinel as a target of faults. Owns its name and what can be done to it; the rig decides whose
// turn it is.
import type { ClusterMember } from '../../support/redis/sentinel-cluster.ts';
import type { TcpProxy } from '../../support/tcp-proxy.ts';
import type { Party } from './network.ts';

export class RedisTarget implements Party {
  readonly name: string;
  readonly member: ClusterMember;

  constructor(name: string, member: ClusterMember) {
    this.name = name;
    this.member = member;
  }

  get sourceAddress(): string {
    return this.member.sourceAddress;
  }

  get proxy(): TcpProxy | undefined {
    return this.member.proxy;
  }

  kill(): Promise<void> {
    return this.member.process.kill();
  }

  /** With the data on its disk. */
  start(): Promise<void> {
    return this.member.process.restart();
  }

  startEmpty(): Promise<void> {
    return this.member.process.restart({ empty: true });
  }

  /** Keeps a copy of the file on its disk for `startOld`. */
  keepFile(): Promise<void> {
    return this.member.process.keepData();
  }

  /** With the data of the file that was kept. */
  startOld(): Promise<void> {
    return this.member.process.restartFromKept();
  }

  pause(): Promise<void> {
    return this.member.process.pause();
  }

  resume(): Promise<void> {
    return this.member.process.resume();
  }

  /** Asks it past the network. */
  call(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.member.process.withClient((client) => client.call(command, ...args));
  }
}
