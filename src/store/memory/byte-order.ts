// The order of listings: by the bytes of the names in UTF-8. JavaScript sorts by UTF-16, which puts U+FF5E behind
// U+1F600.

/** A page needs no more, mostly. To sort 100,000 names for each page would stall the process, page after page. */
const PIECE = 1_000;

/** The things whose names come after `after` ('' for all), in the order of their names. */
export function* inByteOrder<T>(
  things: readonly T[],
  nameOf: (thing: T) => string,
  after: string,
): Generator<T, void, undefined> {
  let piece = things.slice(0, 0);
  do {
    const last = piece.at(-1);
    piece = firstAfter(things, nameOf, last === undefined ? after : nameOf(last));
    yield* piece;
  } while (piece.length === PIECE);
}

/** The first ones whose names come after `after`, in order. */
function firstAfter<T>(things: readonly T[], nameOf: (thing: T) => string, after: string): T[] {
  const sorted = (some: T[]): T[] => some.sort((a, b) => compareBytes(nameOf(a), nameOf(b))).slice(0, PIECE);
  let found: T[] = [];
  let bound: string | undefined; // so many come before this one that none behind it counts
  for (const thing of things) {
    const name = nameOf(thing);
    if (compareBytes(name, after) <= 0 || (bound !== undefined && compareBytes(name, bound) > 0)) continue;
    found.push(thing);
    if (found.length < 2 * PIECE) continue;
    found = sorted(found);
    const last = found.at(-1);
    bound = last && nameOf(last);
  }
  return sorted(found);
}

/** Compares well-formed texts by their bytes in UTF-8. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [unitA, unitB] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (unitA !== unitB) return rankOf(unitA) - rankOf(unitB);
  }
  return a.length - b.length;
}

/** A surrogate is half of a character beyond U+FFFF, and comes after all others. */
function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
