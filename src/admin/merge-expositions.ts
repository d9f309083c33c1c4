// Makes one text for Prometheus of several. Each series must already name its process (the label `worker`), since nothing
// is added up here. A sum over processes falls when one of them restarts at zero, and Prometheus takes a counter that
// falls for one that restarted as a whole: it would count what the other processes have counted a second time.

/** Puts families of the same name together, as the format requires, in the order in which they first appear. */
export function mergeExpositions(texts: readonly string[]): string {
  const families = new Map<string, string[]>();
  for (const text of texts) {
    for (const family of text.split(/^(?=# HELP )/m)) {
      const [help = '', type = '', ...samples] = family.split('\n').filter((line) => line !== '');
      if (help === '') continue;
      const header = `${help}\n${type}`;
      families.set(header, [...(families.get(header) ?? []), ...samples]);
    }
  }
  return [...families].map(([header, samples]) => `${[header, ...samples].join('\n')}\n`).join('\n');
}
