// Several texts for Prometheus as one. Each series must already say of whom it is (the label `worker`): nothing is
// added up here. A sum over workers would fall when one of them starts anew at zero, and to Prometheus a counter that
// falls has started anew as a whole: it would count everything that the others have counted a second time.

/** Families of the same name go together, as the format wants it, in the order of their first appearance. */
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
