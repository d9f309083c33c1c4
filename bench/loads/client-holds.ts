// Leases that the TypeScript client holds, as its users do: on streams that it opens anew every few seconds.
import { type Client, createClient } from '../../src/client/client.ts';

export interface ClientHoldsOrder {
  readonly kind: 'hold-by-client';
  readonly address: string;
  readonly leases: number;
  readonly ttlMs: number;
}

/** This many wait for their grant at once. */
const OPENING = 100;

export class ClientHolds {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = createClient({ addresses: address, owner: 'bench' });
  }

  async open({ leases, ttlMs }: ClientHoldsOrder): Promise<void> {
    let next = 0;
    const opener = async (): Promise<void> => {
      while (next < leases) await this.#client.acquire(`by-client/${next++}`, { ttlMs });
    };
    await Promise.all(Array.from({ length: OPENING }, opener));
  }

  close(): void {
    this.#client.close();
  }
}
