// What the supervisor and a server process tell each other over the channel between them. Both run the same version of
// the program, so nothing here has to be compatible with another version.

import type { HostPort } from '../domain/host-port.ts';
import type { Inheritance } from '../domain/inheritance.ts';

/** How often a server process says that it lives. */
export const ALIVE_EVERY_MS = 500;

export type Order =
  /** Comes first. The configuration is packed. `replaces`: others serve already. */
  | {
      readonly order: 'serve';
      readonly config: string;
      readonly replaces: boolean;
      readonly instanceId: string;
      /** Of all server processes. */
      readonly group: readonly string[];
      /** Of the dead process that had this instance id before. */
      readonly inheritance?: Inheritance | undefined;
    }
  /** End in order; end at once if you don't serve yet. */
  | { readonly order: 'drain' }
  | { readonly order: 'reload tokens' }
  | { readonly order: 'tell metrics'; readonly question: number };

export type Report =
  | {
      readonly report: 'serving';
      readonly address: HostPort;
      /** For the log. */
      readonly facts: Readonly<Record<string, unknown>>;
    }
  | { readonly report: 'alive'; readonly ready: boolean }
  /** From when it may tell anything, on the machine's clock; without a moment: it is about to register. */
  | { readonly report: 'standing'; readonly tellsFromMs?: number | undefined }
  /** Redis holds another deployment's data, or isn't fit. No other server process would do better. */
  | { readonly report: 'refused'; readonly reason: string }
  /** It could not begin to serve. */
  | { readonly report: 'failed'; readonly message: string }
  | { readonly report: 'metrics'; readonly question: number; readonly text: string };
