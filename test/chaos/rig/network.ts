// The network of a run: who cannot reach whom, in which direction, and how slowly. Owns the rules in force, any number
// of them, each of which ends by itself; the proxies ask it for every byte. The catalogue says what a fault means.
import type { TcpProxy } from '../../support/tcp-proxy.ts';

/** A party with an address of its own. Clients have no proxy, since nobody connects to them. */
export interface Party {
  readonly name: string;
  /** The address that its own connections leave from. */
  readonly sourceAddress: string;
  /** The proxy in front of it. */
  readonly proxy: TcpProxy | undefined;
}

/** What is held: the whole connection, only the requests, or only the replies. */
export type Held = 'everything' | 'requests' | 'replies';

interface Hold {
  readonly callers: ReadonlySet<string>;
  readonly callees: ReadonlySet<TcpProxy>;
  readonly held: Held;
}

interface Delay {
  /** All when not given. */
  readonly callers: ReadonlySet<string> | undefined;
  readonly callees: ReadonlySet<TcpProxy>;
  readonly ms: number;
  readonly of: Held;
}

export class Network {
  readonly #proxies: readonly TcpProxy[];
  readonly #holds = new Set<Hold>();
  readonly #delays = new Set<Delay>();

  constructor(parties: readonly Party[]) {
    this.#proxies = [...proxiesOf(parties)];
    this.#apply();
  }

  /** Connections from a caller to a callee stall, new ones too. Returns a function that ends this. */
  hold(callers: readonly Party[], callees: readonly Party[], held: Held = 'everything'): () => void {
    const hold = {
      callers: new Set(callers.map(({ sourceAddress }) => sourceAddress)),
      callees: proxiesOf(callees),
      held,
    };
    this.#holds.add(hold);
    this.#apply();
    return () => {
      this.#holds.delete(hold);
      this.#apply();
    };
  }

  /** Neither side reaches the other. */
  part(side: readonly Party[], otherSide: readonly Party[]): () => void {
    const ends = [this.hold(side, otherSide), this.hold(otherSide, side)];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Every chunk on the way to a callee, and back, takes this much longer; of several delays the longest counts. */
  delay(
    callees: readonly Party[],
    ms: number,
    { callers, of = 'everything' }: { readonly callers?: readonly Party[]; readonly of?: Held } = {},
  ): () => void {
    const delay = {
      callers: callers && new Set(callers.map(({ sourceAddress }) => sourceAddress)),
      callees: proxiesOf(callees),
      ms,
      of,
    };
    this.#delays.add(delay);
    this.#apply();
    return () => {
      this.#delays.delete(delay);
      this.#apply();
    };
  }

  /** Breaks the connections that are open now, with what they hold. */
  drop(callers: readonly Party[], callees: readonly Party[]): void {
    const addresses = new Set(callers.map(({ sourceAddress }) => sourceAddress));
    for (const proxy of proxiesOf(callees)) proxy.drop((caller) => addresses.has(caller));
  }

  #apply(): void {
    for (const proxy of this.#proxies) {
      // The rules are set again rather than healed first: in between, bytes that another rule holds would flow.
      proxy.cut((caller) => this.#isHeld(caller, proxy, 'everything'));
      proxy.holdRequests((caller) => this.#isHeld(caller, proxy, 'requests'));
      proxy.holdReplies((caller) => this.#isHeld(caller, proxy, 'replies'));
      const delays = [...this.#delays].filter(({ callees }) => callees.has(proxy));
      proxy.delayEach((caller, direction) => {
        const own = delays.filter(({ callers, of }) => {
          return (callers?.has(caller) ?? true) && (of === 'everything' || of === direction);
        });
        return Math.max(0, ...own.map(({ ms }) => ms));
      });
    }
  }

  #isHeld(caller: string, callee: TcpProxy, what: Held): boolean {
    for (const { callers, callees, held } of this.#holds) {
      if (held === what && callers.has(caller) && callees.has(callee)) return true;
    }
    return false;
  }
}

function proxiesOf(parties: readonly Party[]): Set<TcpProxy> {
  return new Set(parties.flatMap(({ proxy }) => proxy ?? []));
}
