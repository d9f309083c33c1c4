// Who can reach whom in a cluster whose members sit behind proxies. The connections of every member leave from a
// loopback address of its own, so the proxy in front of another member knows who is calling. Owns the list of
// isolations in force and tells the proxies; it knows nothing of Redis.
import type { TcpProxy } from '../tcp-proxy.ts';

export interface PartitionMember {
  /** The loopback address that its own connections leave from. */
  readonly sourceAddress: string;
  /** The proxy in front of it. */
  readonly proxy: TcpProxy;
}

/**
 * A member, one application by the address that its connections leave from (see source-address.ts), or all
 * applications: every caller that isn't a member.
 */
export type Party = PartitionMember | string;
export const APPLICATIONS = 'applications';

interface Isolation {
  readonly of: Party;
  readonly except: readonly Party[];
}

export class Partition {
  readonly #members: readonly PartitionMember[];
  #isolations: readonly Isolation[] = [];

  constructor(members: readonly PartitionMember[]) {
    this.#members = members;
  }

  /** Nobody reaches `party` and it reaches nobody, except for `except`. Adds to the isolations that are in force. */
  isolate(party: Party, except: readonly Party[]): void {
    this.#isolations = [...this.#isolations, { of: party, except }];
    this.#apply();
  }

  /** Ends all isolations: what was held flows again. */
  heal(): void {
    this.#isolations = [];
    this.#apply();
  }

  #apply(): void {
    for (const member of this.#members) {
      if (this.#isolations.length === 0) member.proxy.heal();
      else member.proxy.cut((caller) => this.#areApart(caller, member));
    }
  }

  #areApart(caller: string, member: PartitionMember): boolean {
    return this.#isolations.some(
      ({ of, except }) =>
        (of === member && !this.#includes(except, caller)) ||
        (this.#includes([of], caller) && !except.includes(member)),
    );
  }

  #includes(parties: readonly Party[], caller: string): boolean {
    const isMember = this.#members.some(({ sourceAddress }) => sourceAddress === caller);
    return parties.some((party) => {
      if (party === APPLICATIONS) return !isMember;
      return (typeof party === 'string' ? party : party.sourceAddress) === caller;
    });
  }
}
