// Names in the order of the bytes of their UTF-8, as Redis sorts them; JavaScript sorts by UTF-16, which puts U+FF5E
// behind U+1F600. Sorted when somebody asks, and kept until the names change: listing is rare here, and small.

interface Sorted {
  readonly names: readonly string[];
  readonly bytes: readonly Buffer[];
}

export class NameIndex {
  readonly #all: () => Iterable<string>;
  #sorted: Sorted | undefined;

  constructor(all: () => Iterable<string>) {
    this.#all = all;
  }

  /** A name came or went. */
  forget(): void {
    this.#sorted = undefined;
  }

  /** The names behind `start`, and `start` itself if it is to be `inclusive`. */
  *from(start: string, inclusive: boolean): Iterable<string> {
    this.#sorted ??= sorted(this.#all());
    const { names, bytes } = this.#sorted;
    const from = Buffer.from(start);
    const least = inclusive ? 0 : 1;
    let [low, high] = [0, names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Buffer.compare(bytes[middle] ?? from, from) < least) low = middle + 1;
      else high = middle;
    }
    yield* names.slice(low);
  }
}

function sorted(all: Iterable<string>): Sorted {
  const bytes = Array.from(all, (name) => Buffer.from(name)).sort(Buffer.compare);
  return { bytes, names: bytes.map((name) => name.toString()) };
}
