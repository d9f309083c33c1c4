// The order of listings: by the bytes of the names in UTF-8. JavaScript sorts by UTF-16, which puts U+FF5E behind
// U+1F600.

/** The things whose names come after `after` ('' for all), in the order of their names. */
export function inByteOrder<T>(things: Iterable<T>, nameOf: (thing: T) => string, after: string): T[] {
  const start = Buffer.from(after);
  const named = Array.from(things, (thing) => ({ thing, bytes: Buffer.from(nameOf(thing)) }));
  const behind = after === '' ? named : named.filter(({ bytes }) => Buffer.compare(bytes, start) > 0);
  return behind.sort((a, b) => Buffer.compare(a.bytes, b.bytes)).map(({ thing }) => thing);
}
