// Who watches which names: finds the watchers that a change concerns without asking all of them. It knows nothing of
// what the names stand for.

/** Some names, or all that begin with a prefix; every name begins with ''. */
export type WatchFilter =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'prefix'; readonly prefix: string };

export class WatchIndex<Watcher> {
  readonly #byName = new Map<string, Set<Watcher>>();
  readonly #byPrefix = new Map<string, Set<Watcher>>();
  /** How many watched prefixes have each length: a name is cut to these, and not compared with all of them. */
  readonly #lengths = new Map<number, number>();

  add(watcher: Watcher, filter: WatchFilter): void {
    if (filter.kind === 'names') {
      for (const name of filter.names) put(this.#byName, name, watcher);
    } else if (put(this.#byPrefix, filter.prefix, watcher)) {
      const { length } = filter.prefix;
      this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1);
    }
  }

  remove(watcher: Watcher, filter: WatchFilter): void {
    if (filter.kind === 'names') {
      for (const name of filter.names) take(this.#byName, name, watcher);
    } else if (take(this.#byPrefix, filter.prefix, watcher)) {
      const { length } = filter.prefix;
      const left = (this.#lengths.get(length) ?? 1) - 1;
      if (left > 0) this.#lengths.set(length, left);
      else this.#lengths.delete(length);
    }
  }

  /** All watchers that a change of this name concerns. */
  *of(name: string): Iterable<Watcher> {
    yield* this.#byName.get(name) ?? [];
    for (const length of this.#lengths.keys()) {
      if (length <= name.length) yield* this.#byPrefix.get(name.slice(0, length)) ?? [];
    }
  }

  concerns(name: string): boolean {
    for (const _ of this.of(name)) return true;
    return false;
  }
}

/** Returns whether the watcher is the first one under this key. */
function put<Watcher>(map: Map<string, Set<Watcher>>, key: string, watcher: Watcher): boolean {
  const there = map.get(key);
  if (there) there.add(watcher);
  else map.set(key, new Set([watcher]));
  return !there;
}

/** Returns whether the watcher was the last one under this key. */
function take<Watcher>(map: Map<string, Set<Watcher>>, key: string, watcher: Watcher): boolean {
  const there = map.get(key);
  if (!there?.delete(watcher) || there.size > 0) return false;
  return map.delete(key);
}
