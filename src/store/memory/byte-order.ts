// The order in which names are listed: that of the bytes of their UTF-8. JavaScript's own is that of UTF-16, which puts
// U+FF5E behind U+1F600.

/** What has a name behind `after`, in the order of the names; '' for all. */
export function inByteOrder<T>(things: Iterable<T>, nameOf: (thing: T) => string, after: string): T[] {
  const start = Buffer.from(after);
  const named = Array.from(things, (thing) => ({ thing, bytes: Buffer.from(nameOf(thing)) }));
  const behind = after === '' ? named : named.filter(({ bytes }) => Buffer.compare(bytes, start) > 0);
  return behind.sort((a, b) => Buffer.compare(a.bytes, b.bytes)).map(({ thing }) => thing);
}
