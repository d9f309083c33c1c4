// Which metrics and labels a PromQL expression names, for tests that compare them with docs/metrics.md. It knows as
// much of the language as the rules and the dashboard of deploy/monitoring use.

export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

export interface PromqlNames {
  readonly selectors: readonly Selector[];
  /** Labels in by, without, on, ignoring, group_left and group_right. */
  readonly grouping: readonly string[];
}

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const SELECTOR = /([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g;
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'by', 'without', 'on', 'ignoring']);

export function namesIn(expr: string): PromqlNames {
  // Text and spans of time name nothing.
  let rest = expr.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""').replaceAll(/\[[^\]]*\]/g, '');
  const grouping = [...rest.matchAll(GROUPING)].flatMap(([, labels = '']) => words(labels));
  rest = rest.replaceAll(GROUPING, ' ');
  const selectors = [...rest.matchAll(SELECTOR)].map(([, metric = '', matchers = '']) => ({
    metric,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  }));
  rest = rest.replaceAll(SELECTOR, ' ');
  const bare = [...rest.matchAll(/(?<![\w.])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()/g)].map(([metric]) => metric);
  return {
    selectors: [
      ...selectors,
      ...bare.filter((word) => !WORDS.has(word)).map((metric) => ({ metric, labels: [] })),
    ],
    grouping,
  };
}

function words(list: string): string[] {
  return list.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
}
