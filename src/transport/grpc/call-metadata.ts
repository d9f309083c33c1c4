// The metadata of a call, read from its headers when somebody asks: most calls are asked for one value, or for none.

import type { IncomingHttpHeaders } from 'node:http2';

export class CallMetadata {
  readonly #headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    this.#headers = headers;
  }

  /** All values of a key, in lower case; bytes if the key ends with `-bin`. */
  get(key: string): (string | Buffer)[] {
    const sent = this.#headers[key];
    if (sent === undefined) return [];
    const values = typeof sent === 'string' ? [sent] : sent;
    if (!key.endsWith('-bin')) return [...values];
    // Several values of one key may come as one header, with commas.
    return values.flatMap((value) => value.split(',')).map((value) => Buffer.from(value, 'base64'));
  }

  /** One value of each key. */
  getMap(): Readonly<Record<string, string | Buffer | undefined>> {
    const keys = Object.keys(this.#headers).filter((key) => !key.startsWith(':'));
    return Object.fromEntries(keys.map((key) => [key, this.get(key)[0]]));
  }
}
