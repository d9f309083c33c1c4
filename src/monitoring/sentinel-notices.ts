// What Sentinels announce on their channels. Each of them announces what it sees, so one event is heard several times.
// Owns what a message says, and which ones are echoes; who listens is notice-listener.ts.

import type { Clock } from '../domain/clock.ts';
import { formatHostPort, type HostPort, hostPortFrom } from '../domain/host-port.ts';

/** The channels, as Sentinel names them. */
export const NOTICE_CHANNELS = [
  '+switch-master',
  '+sdown',
  '-sdown',
  '+odown',
  '-odown',
  '+tilt',
  '-tilt',
] as const;
export type NoticeName = (typeof NOTICE_CHANNELS)[number];

export interface Notice {
  readonly what: NoticeName;
  /** Which node it is about; undefined for TILT, which is of the Sentinel that says so. */
  readonly node: HostPort | undefined;
  /** 'primary', 'replica' or 'sentinel'; what the node is. */
  readonly kind: string | undefined;
  /** Of a switch: the former primary. */
  readonly former: HostPort | undefined;
}

/** The same event can reach the last Sentinel so much later. */
const ECHOES_WITHIN_MS = 30_000;
const KINDS: Readonly<Record<string, string>> = { master: 'primary', slave: 'replica' };

/** Undefined for what is about another primary than this one. */
export function parseNotice(what: NoticeName, message: string, masterName: string): Notice | undefined {
  const words = message.split(' ');
  if (what === '+tilt' || what === '-tilt') {
    return { what, node: undefined, kind: undefined, former: undefined };
  }
  if (what === '+switch-master') {
    const [name, formerHost, formerPort, host, port] = words;
    if (name !== masterName) return undefined;
    return {
      what,
      node: hostPortFrom(host, port),
      kind: 'primary',
      former: hostPortFrom(formerHost, formerPort),
    };
  }
  // <type> <name> <ip> <port> [@ <primary's name> <ip> <port>] [#quorum <n>/<m>]
  const [type = '', name = '', host, port, at, ofName] = words;
  if ((at === '@' ? ofName : name) !== masterName) return undefined;
  return { what, node: hostPortFrom(host, port), kind: KINDS[type] ?? type, former: undefined };
}

interface Heard {
  readonly atMs: number;
  readonly sentinels: Set<string>;
}

/** Tells the first announcement of an event from those of the other Sentinels. */
export class NoticeEchoes {
  readonly #clock: Clock;
  readonly #heard = new Map<string, Heard>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A Sentinel that says the same again speaks of another event: a node that was down before is down again. */
  isEcho(notice: Notice, sentinel: string): boolean {
    const now = this.#clock.monotonicMs();
    for (const [key, { atMs }] of this.#heard) if (now - atMs > ECHOES_WITHIN_MS) this.#heard.delete(key);
    const { what, node, former } = notice;
    if (!node) return false;
    const key = [what, formatHostPort(node), former && formatHostPort(former)].join(' ');
    const heard = this.#heard.get(key);
    if (!heard || heard.sentinels.has(sentinel)) {
      this.#heard.set(key, { atMs: now, sentinels: new Set([sentinel]) });
      return false;
    }
    heard.sentinels.add(sentinel);
    return true;
  }
}
