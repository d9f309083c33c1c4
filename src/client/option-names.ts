// What the options of this client are called in the contract, the other way round: a server that refuses a request
// names a field of it, and users look for the option that they wrote.

/** The fields whose names say no unit. */
const SPANS: ReadonlySet<string> = new Set([
  'ttl',
  'min_hold',
  'max_hold',
  'heartbeat_timeout',
  'time_to_live',
  'delay',
]);

/** Whole paths first, then their beginnings. What follows is kept, such as the key of an entry of `metadata`. */
const PATHS: readonly (readonly [path: RegExp, option: string])[] = [
  [/^(spec|filter)\.(?=.)/, ''],
  [/^specs\[(\d+)\]\.resource$/, 'resources[$1]'],
  [/^specs\[(\d+)\]/, 'resources[$1]'],
  [/^specs$/, 'resources'],
  [/^(|.*\.)permits\.(permits|limit)$/, '$1mode.$2'],
  [/^(|.*\.)durability\.replicated\.min_acks$/, '$1durability.replicated'],
  [/^wait_timeout$/, 'waitMs'],
  [/^resource_prefix$/, 'prefix'],
  [/^max_operations$/, 'concurrency'],
  [/^retention\.(\w+)$/, 'retentionMs.$1'],
];

/** The keys after these are the user's own words. */
const WITH_KEYS: ReadonlySet<string> = new Set(['metadata', 'labels', 'set_labels']);

/** `spec.min_hold` becomes `minHoldMs`. */
export function optionOfField(field: string): string {
  const path = PATHS.reduce((text, [from, to]) => text.replace(from, to), field);
  const names = path.split('.');
  const keysFrom = names.findIndex((name) => WITH_KEYS.has(name)) + 1 || names.length;
  return names.map((name, index) => (index < keysFrom ? optionOf(name) : name)).join('.');
}

function optionOf(name: string): string {
  const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return SPANS.has(name) ? `${camel}Ms` : camel;
}
