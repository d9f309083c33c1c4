// "Did you mean": finds the known name that is nearest to a mistyped one. It knows nothing of settings.

/** @returns the candidate nearest to `name`, or undefined when none is near enough to suggest. */
export function closestName(name: string, candidates: Iterable<string>): string | undefined {
  // Nobody means a name this long, and the bound keeps the distances cheap.
  if (name.length > 100) return undefined;
  const wanted = fold(name);
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

// Folding makes maxTtl, max-ttl and MAX_TTL the same name, so that other spellings have distance 0.
function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '');
}

// An insertion, a deletion, a substitution and a swap of two neighbours each count as one.
function editDistance(left: string, right: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let distance = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
      );
      const swapped = row > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) distance = Math.min(distance, at(beforePrevious, column - 2) + 1);
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, right.length);
}

function at(distances: readonly number[], column: number): number {
  return distances[column] ?? Number.POSITIVE_INFINITY;
}
