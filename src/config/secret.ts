// A text that must not reach a log, an error message or a dump. Owns the wrapping only: where a secret comes from is
// the reader's business, and whoever needs the text has to say so by calling `reveal`.
import { inspect } from 'node:util';

const SHOWN = '[secret]';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Call it where the text is handed to the connection, and nowhere else. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
