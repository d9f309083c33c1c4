// House rules that no compiler and no linter knows, as tests: which layer may import which, where the clock
// is read, what a Lua script looks like, what files are called. Each rule is a pure function of a file's path
// and text; the table at the end shows that each of them can fail. Formatting and plain lint are Biome's
// business.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, posix, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const SELF = 'test/tidy.test.ts';
const FOLDERS = [
  '.ci',
  'bench',
  'clients/conformance',
  'deploy',
  'docs',
  'examples',
  'proto/leasehold',
  'scripts',
  'src',
  'test',
];
const MAX_COLUMNS = 120;
/** Past these, a file's opening comment says why it is longer. */
const SOURCE_LINES = 300;
const MAX_SOURCE_LINES = 400;
const REASON = /^\/\/ Over 300 lines because \S/;
/** A word or literal of so many characters may pass the last column: nobody could break it. */
const UNBREAKABLE = 40;

const COMMENT_LINE = /^\s*(\/\/|\/?\*|--)/;

/** Says `line: what is wrong` for each breach. */
type Check = (path: string, text: string) => string[];

interface Rule {
  readonly name: string;
  /** The files that it looks at. */
  readonly at: RegExp;
  readonly check: Check;
}

// ---- Where the banned words are gone.

/** The folders and files where the banned words are gone; in the end, all of src. */
const CLEAN_ENGLISH = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  '.ci',
  'bench',
  'clients/conformance',
  'deploy',
  'docs',
  'examples',
  'proto/leasehold',
  'scripts',
  'src',
  'test',
];

// ---- Layers: main → server → transport, admin → service → store → domain; the stores beside the interface they
// implement.

const LAYERS: Readonly<
  Record<string, { readonly may: readonly string[]; readonly typesOf?: readonly string[] }>
> = {
  domain: { may: [] },
  config: { may: ['domain'] },
  store: { may: ['domain'] },
  'store/memory': { may: ['store', 'domain'] },
  'store/redis': { may: ['store', 'domain'] },
  service: { may: ['store', 'domain'] },
  // Commands and outcomes are declared beside the store's interface. Calling the store is the service's part.
  transport: { may: ['transport/grpc', 'service', 'tracing', 'domain', 'generated'], typesOf: ['store'] },
  // gRPC over HTTP/2, for any service: it knows none of ours.
  'transport/grpc': { may: ['domain'] },
  // Spans. The server's and the client's come from one place, so that both keep one rule of what may be shown.
  tracing: { may: ['domain'] },
  admin: { may: ['service', 'domain'], typesOf: ['store'] },
  // What users of TypeScript import, above the client core: no code of the server is in it.
  client: { may: ['client/core', 'tracing', 'domain', 'generated'] },
  'client/core': { may: ['domain', 'generated'] },
  // Keeps processes that serve; what serves in them, and the process around it, are the server's.
  supervisor: { may: ['domain'] },
  // Reads a deployment from outside of the path of locks, and how to connect to one.
  deployment: { may: ['config', 'store', 'store/redis', 'domain'] },
  monitoring: { may: ['deployment', 'config', 'store', 'store/redis', 'domain'] },
  doctor: { may: ['deployment', 'config', 'store', 'store/redis', 'domain'] },
  drill: { may: ['deployment', 'doctor', 'client', 'client/core', 'config', 'domain'] },
  capacity: { may: ['deployment', 'config', 'store', 'store/redis', 'domain'] },
  cli: {
    may: ['client', 'client/core', 'deployment', 'doctor', 'drill', 'capacity', 'config', 'domain'],
  },
  // A whole server, for the tests of others.
  testing: { may: ['main', 'server', 'client', 'config', 'store/memory', 'domain'] },
  // Puts an instance together, and the process around it.
  server: {
    may: [
      'main',
      'config',
      'store',
      'store/memory',
      'store/redis',
      'service',
      'tracing',
      'transport',
      'transport/grpc',
      'admin',
      'deployment',
      'monitoring',
      'doctor',
      'supervisor',
      'domain',
    ],
  },
  // The files directly in src/: the program, and what the package is.
  main: { may: ['server', 'cli'] },
};

/** The packages that only some layers know. */
const PACKAGE_HOMES: readonly { readonly of: RegExp; readonly homes: readonly string[] }[] = [
  { of: /^(@grpc\/|@bufbuild\/)/, homes: ['transport', 'transport/grpc', 'client/core'] },
  // Its API alone, and no SDK: that is the user's. The client carries traces on, and its core doesn't know of them.
  { of: /^@opentelemetry\//, homes: ['tracing', 'client'] },
  { of: /^ioredis$/, homes: ['store/redis'] },
  { of: /^(zod|yaml)$/, homes: ['config'] },
];

function layerOf(path: string): string {
  const [top, layer = '', inner = '', ...deeper] = path.split('/');
  if (top !== 'src') return top ?? '';
  if (layer.includes('.')) return 'main';
  return deeper.length > 0 && `${layer}/${inner}` in LAYERS ? `${layer}/${inner}` : layer;
}

const layers: Check = (path, text) => {
  const own = layerOf(path);
  const layer = LAYERS[own];
  if (layer === undefined) return [`1: ${own} is no layer: say in LAYERS what it may import`];
  return importsOf(text).flatMap(({ line, specifier, typeOnly }) => {
    if (!specifier.startsWith('.')) return [];
    const other = layerOf(posix.normalize(posix.join(posix.dirname(path), specifier)));
    if (other === own || layer.may.includes(other)) return [];
    if (layer.typesOf?.includes(other)) {
      return typeOnly ? [] : [`${line}: ${own} may import only types from ${other}`];
    }
    return [`${line}: ${own} may not import from ${other}`];
  });
};

const packageHomes: Check = (path, text) =>
  importsOf(text).flatMap(({ line, specifier }) =>
    PACKAGE_HOMES.filter(({ of, homes }) => of.test(specifier) && !homes.includes(layerOf(path))).map(
      ({ homes }) => `${line}: ${specifier} belongs in ${homes.join(' and ')} alone`,
    ),
  );

interface Import {
  readonly line: number;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(text: string): Import[] {
  const code = codeOf(text).join('\n');
  const statement =
    /\b(?:import|export)\s+(type\s)?(?:[^'"`;=]*?\bfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"`]([^'"`]+)/g;
  return [...code.matchAll(statement)].map((match) => ({
    line: lineAt(code, match.index + match[0].length),
    specifier: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

// ---- Circles: a file that is read with those that it needs must not need itself. Imports of types count.

/** The files that reach each other by imports: each circle, or circles that touch, as one sorted group. */
function importCircles(sources: ReadonlyMap<string, string>): string[][] {
  const reached = new Map([...sources.keys()].map((path) => [path, reachedFrom(path, sources)]));
  return [...reached].flatMap(([path, all]) => {
    const circle = [...all].filter((other) => reached.get(other)?.has(path)).sort();
    return circle[0] === path ? [circle] : [];
  });
}

/** Every file that it imports, directly or not; itself only if there is a circle. */
function reachedFrom(path: string, sources: ReadonlyMap<string, string>): ReadonlySet<string> {
  const found = new Set<string>();
  const left = [path];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    for (const { specifier } of importsOf(sources.get(next) ?? '')) {
      const imported = posix.join(posix.dirname(next), specifier);
      if (!specifier.startsWith('.') || !sources.has(imported) || found.has(imported)) continue;
      found.add(imported);
      left.push(imported);
    }
  }
  return found;
}

// ---- What only some files may say.

interface Ban {
  readonly word: RegExp;
  readonly say: string;
  /** Files that may. */
  readonly but: RegExp;
}

const CLOCK = /^src\/domain\/clock\.ts$/;
const BANS: readonly Ban[] = [
  {
    word: /\bprocess\.env\b/,
    say: 'the environment is read in main, server and config',
    but: /^src\/([^/]+|(config|server)\/.+)$/,
  },
  { word: /\bDate\.now\b|\bnew Date\(\)/, say: 'the wall clock is read in domain/clock.ts', but: CLOCK },
  { word: /\bperformance\.now\b|\bhrtime\b/, say: 'the clock is read in domain/clock.ts', but: CLOCK },
  { word: /\bset(Timeout|Interval)\b|'node:timers/, say: 'timers are made by domain/clock.ts', but: CLOCK },
  // The process itself has to begin somewhere: what injects randomness may name it.
  {
    word: /\bMath\.random\b/,
    say: 'randomness is injected',
    but: /^src\/(server\/(instance|serve-with-workers)|client\/client)\.ts$|domain\/clock/,
  },
];

const bans: Check = (path, text) =>
  codeOf(text).flatMap((code, index) =>
    BANS.filter(({ word, but }) => word.test(code) && !but.test(path)).map(
      ({ say }) => `${index + 1}: ${say}`,
    ),
  );

/** The lines without what is only a comment, under their own numbers. */
function codeOf(text: string): string[] {
  return text.split('\n').map((line) => (COMMENT_LINE.test(line) ? '' : line.replace(/\s\/\/ .*$/, '')));
}

// ---- Files: what they are called, how they begin, how long they are.

const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
const SAYS_NOTHING = /^(utils?|helpers?|commons?|types?|misc|shared)$/;

const fileNames: Check = (path) => {
  const name = basename(path);
  const wrong = path.split('/').filter((part) => !KEBAB.test(part));
  const empty = name.split(/[.-]/).filter((part) => SAYS_NOTHING.test(part));
  return [
    ...wrong.map((part) => `1: ${part} is not kebab-case`),
    ...empty.map((part) => `1: "${part}" says nothing; name the file after what it exports`),
    ...(/^index\./.test(name) ? ['1: no barrels: import from the file that declares it'] : []),
  ];
};

const openingComment: Check = (_path, text) => {
  const opening = text.split('\n').find((line) => !line.startsWith('#!')) ?? '';
  const told = /^(\/\/|\/\*|--) ?\S/.test(opening);
  return told ? [] : ['1: begin with a comment: what the file owns, and what it does not'];
};

const columns: Check = (_path, text) => {
  let inTemplate = false;
  return text.split('\n').flatMap((line, index) => {
    // What a template prints over several lines is as wide as its reader wants it.
    const printed = inTemplate;
    if (printed || !COMMENT_LINE.test(line))
      inTemplate = printed !== (line.match(/(?<!\\)`/g)?.length ?? 0) % 2 > 0;
    const short = line
      .replace(/(['"`])(?:(?!\1)[^\\]|\\.)*\1/g, (literal) => (literal.length < UNBREAKABLE ? literal : ''))
      .replace(/`[^`]*$/, '')
      .replace(/\S+/g, (word) => (word.length < UNBREAKABLE ? word : ''));
    if (printed || short.length <= MAX_COLUMNS) return [];
    return [`${index + 1}: ${line.length} columns, more than ${MAX_COLUMNS}`];
  });
};

const sourceLength: Check = (_path, text) => {
  const lines = text.trimEnd().split('\n');
  const opening = lines.slice(
    0,
    lines.findIndex((line) => !COMMENT_LINE.test(line)),
  );
  const hasReason = opening.some((line) => REASON.test(line));
  const { length } = lines;
  if (length > MAX_SOURCE_LINES) return [`${length}: more than ${MAX_SOURCE_LINES} lines; split it by noun`];
  if (length > SOURCE_LINES && !hasReason) {
    return [`${length}: split it by noun, or write in its opening comment "// Over 300 lines because …"`];
  }
  return length <= SOURCE_LINES && hasReason
    ? [`1: it has only ${length} lines; take out why it is longer`]
    : [];
};

/** Names that stand twice: nobody who opens a file by its name gets the wrong one. */
function sharedNames(paths: readonly string[]): string[] {
  const byName = Map.groupBy(paths, (path) => basename(path));
  return [...byName].flatMap(([name, all]) => (all.length > 1 ? [`${name}: ${all.sort().join(', ')}`] : []));
}

const unfinished: Check = (_path, text) =>
  text
    .split('\n')
    .flatMap((line, index) =>
      /\b(TO[D]O|FIX[M]E)\b/.test(line) ? [`${index + 1}: do it, or write down where it is planned`] : [],
    );

// ---- English: words that a maintainer who grew up with the language would not write here.

/** Between two words: a space, or the end of a comment's line and the beginning of the next one. */
const GAP = String.raw`\s+(?:(?://|\*|--|#)\s*)?`;
const BANNED_WORDS = new RegExp(String.raw`\b(of${GAP}whom|whoever|mend(s|ed)?|shall|may${GAP}do)\b`, 'gi');

const plainEnglish: Check = (_path, text) =>
  [...text.matchAll(BANNED_WORDS)].map(
    (match) => `${lineAt(text, match.index)}: say "${match[1]}" in plainer words`,
  );

// ---- Unit tests: one module, nothing started.

const STARTS_SOMETHING =
  /^node:(child_process|cluster|http2?|net|worker_threads)$|\/support\/(redis\/|server-process|store-kinds|test-instance)/;

const nothingStarted: Check = (_path, text) =>
  importsOf(text)
    .filter(({ specifier }) => STARTS_SOMETHING.test(specifier))
    .map(
      ({ line, specifier }) =>
        `${line}: a unit test starts nothing: with ${specifier} it is an integration test`,
    );

// ---- Tests that don't run.

const skippedTests: Check = (_path, text) => {
  const lines = text.split('\n');
  return codeOf(text).flatMap((code, index) => {
    if (/\.only\b\s*[(`.]/.test(code)) return [`${index + 1}: .only switches all the other tests off`];
    if (!/\.(skip|skipIf|runIf|todo|fails)\b\s*[(`.]/.test(code)) return [];
    const reason = /\s\/\/ \S/.test(lines[index] ?? '') || /^\s*(\/\/|\*)/.test(lines[index - 1] ?? '');
    return reason ? [] : [`${index + 1}: say in a comment why this test does not run`];
  });
};

// ---- Lua: the header is the script's contract, and names stand for its keys and arguments.

/** Parts that are put before the bodies of scripts. */
const SHARED_LUA = [
  'prelude.lua',
  'locking.lua',
  'lock-views.lua',
  'operation-records.lua',
  'operating.lua',
  'operation-views.lua',
];

const luaHeader: Check = (path, text) => {
  if (SHARED_LUA.includes(basename(path))) return [];
  const lines = text.split('\n');
  const end = lines.findIndex((line, index) => index > 0 && !line.startsWith('--'));
  const header = lines.slice(1, end);
  return [
    ...(/^#!lua( |$)/.test(lines[0] ?? '')
      ? []
      : ['1: the first line is "#!lua", with the flags if there are any']),
    ...['KEYS', 'ARGV', 'REPLY']
      .filter((part) => !header.some((line) => line.startsWith(`-- ${part}`)))
      .map((part) => `2: the header has no "-- ${part}"`),
  ];
};

const luaNames: Check = (_path, text) => {
  const lines = text.split('\n');
  const firstCode = lines.findIndex((line) => line !== '' && !/^(#!|--)/.test(line));
  const afterLocals = lines.findIndex((line, index) => index >= firstCode && !line.startsWith('local '));
  return lines.flatMap((line, index) => {
    if (index >= firstCode && index < afterLocals) return [];
    const code = line.replace(/^#!.*|--.*/, '');
    return /\b(KEYS|ARGV)\b/.test(code)
      ? [`${index + 1}: give it a name in the "local" lines at the top`]
      : [];
  });
};

/** Scripts that are listed but don't exist, and the reverse. */
function scriptList(scriptsModule: string, luaFiles: readonly string[]): string[] {
  const list = /SCRIPT_NAMES = \[([^\]]*)\]/.exec(scriptsModule);
  const listed = [...(list?.[1] ?? '').matchAll(/'([^']+)'/g)].map((match) => match[1] ?? '');
  const existing = luaFiles
    .map((path) => basename(path))
    .filter((name) => !SHARED_LUA.includes(name))
    .map((name) => basename(name, '.lua'));
  return [
    ...without(listed, existing).map((name) => `${name} is in SCRIPT_NAMES, but there is no ${name}.lua`),
    ...without(existing, listed).map((name) => `${name}.lua is not in SCRIPT_NAMES`),
  ];
}

// ---- Dependencies: each has its reason, and what is shipped needs only what is installed with it.

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const RUN_TIME = '## At run time';
const DEVELOPMENT = '## For development';

function dependencyReasons({ dependencies, devDependencies }: Manifest, page: string): string[] {
  const compare = (heading: string, actual: readonly string[]): string[] => {
    const section = page.split(/^(?=## )/m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
    const told = [...section.matchAll(/^\| `([^`]+)` +\|/gm)].map((match) => match[1] ?? '');
    return [
      ...without(actual, told).map((name) => `${name} has no line under "${heading}"`),
      ...without(told, actual).map(
        (name) => `"${heading}" tells of ${name}, which package.json doesn't have there`,
      ),
      ...told.filter((name, index) => told.indexOf(name) !== index).map((name) => `${name} has two lines`),
    ];
  };
  const runTime = Object.keys(dependencies);
  const both = runTime.filter((name) => name in devDependencies);
  return [
    ...both.map((name) => `${name} is a dependency twice`),
    ...compare(RUN_TIME, runTime),
    ...compare(DEVELOPMENT, Object.keys(devDependencies)),
  ];
}

/** A name in quotes is enough: some packages are loaded by name (the printer of the log). */
function shippedPackages({ dependencies, devDependencies }: Manifest): Check {
  // This one is a program, which nobody loads, and its name is a word.
  const loadable = Object.keys(devDependencies).filter((name) => name !== 'node');
  return (_path, text) => [
    ...codeOf(text).flatMap((code, index) =>
      loadable
        .filter((name) => code.includes(`'${name}'`))
        .map((name) => `${index + 1}: ${name} is not installed with the package: make it a dependency`),
    ),
    ...importsOf(text)
      .filter(({ specifier }) => !/^(\.|node:)/.test(specifier))
      .filter(
        ({ specifier }) =>
          !Object.keys({ ...dependencies, ...devDependencies }).includes(packageOf(specifier)),
      )
      .map(({ line, specifier }) => `${line}: ${specifier} is in nobody's package.json but its own`),
  ];
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function without(names: readonly string[], others: readonly string[]): string[] {
  return names.filter((name) => !others.includes(name));
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

// ---- The rules, held against every file.

// No check of its form: npm has read it before us.
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

const RULES: readonly Rule[] = [
  { name: 'layers', at: /^src\/.+\.ts$/, check: layers },
  { name: 'homes of packages', at: /^src\/.+\.ts$/, check: packageHomes },
  { name: 'shipped packages', at: /^src\/.+\.ts$/, check: shippedPackages(manifest) },
  { name: 'clock, chance and environment', at: /^src\/.+\.ts$/, check: bans },
  {
    name: 'file names',
    at: /^(src|test|scripts|bench|examples|deploy|clients)\/.+\.(ts|mjs|lua|sh|yaml)$/,
    check: fileNames,
  },
  {
    name: 'opening comment',
    at: /^(src|test|scripts|bench|examples|deploy)\/.+\.(ts|mjs|lua)$/,
    check: openingComment,
  },
  {
    name: 'columns',
    at: /^(src|test|scripts|bench|examples|deploy)\/.+\.(ts|mjs|lua|sh|conf)$/,
    check: columns,
  },
  { name: 'length of sources', at: /^src\/.+\.ts$/, check: sourceLength },
  { name: 'nothing left to do', at: /./, check: unfinished },
  { name: 'plain English', at: new RegExp(`^(${CLEAN_ENGLISH.join('|')})(/|$)`), check: plainEnglish },
  { name: 'tests that run', at: /^test\/.+\.ts$/, check: skippedTests },
  { name: 'unit tests', at: /^test\/unit\/.+\.ts$/, check: nothingStarted },
  { name: 'Lua header', at: /\.lua$/, check: luaHeader },
  { name: 'Lua names', at: /\.lua$/, check: luaNames },
];

function projectFiles(): Map<string, string> {
  const inRoot = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isFile());
  const inFolders = FOLDERS.map((folder) => join(ROOT, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile());
  const paths = [...inRoot, ...inFolders].map((entry) => join(entry.parentPath, entry.name));
  const texts = paths.map((path): [string, string] => [relative(ROOT, path), readFileSync(path, 'utf8')]);
  return new Map(texts.filter(([path]) => path !== 'package-lock.json'));
}

const files = projectFiles();

/** The checks whose words stand in this file, as rules and as probes. */
const NOT_OF_ITSELF: readonly Check[] = [skippedTests, plainEnglish];

test.each(RULES)('the repository keeps the rule: $name', ({ at, check }) => {
  const seen = [...files].filter(
    ([path]) => at.test(path) && (path !== SELF || !NOT_OF_ITSELF.includes(check)),
  );
  expect(seen).not.toHaveLength(0);
  expect(seen.flatMap(([path, text]) => check(path, text).map((breach) => `${path}:${breach}`))).toEqual([]);
});

test('no file of src/ imports itself through others', () => {
  const sources = new Map([...files].filter(([path]) => /^src\/.+\.ts$/.test(path)));
  const circles = importCircles(sources);
  expect(circles).toEqual([]);
});

test('no two files of src/, test/ and scripts/ have one name', () => {
  expect(
    sharedNames([...files.keys()].filter((path) => /^(src|test|scripts)\/.+\.(ts|mjs|lua)$/.test(path))),
  ).toEqual([]);
});

test('SCRIPT_NAMES names every Lua script and no other', () => {
  const scripts = files.get('src/store/redis/scripts.ts') ?? '';
  expect(
    scriptList(
      scripts,
      [...files.keys()].filter((path) => path.endsWith('.lua')),
    ),
  ).toEqual([]);
});

test('docs/dependencies.md gives the reason for every dependency and no other', () => {
  expect(dependencyReasons(manifest, files.get('docs/dependencies.md') ?? '')).toEqual([]);
});

// ---- Each rule can fail: what it must find (and, with '', what it must let pass).

const lua = (body: string): string =>
  `#!lua\n-- Does it.\n--\n-- KEYS  1 a\n-- ARGV  1 b\n-- REPLY ok\n${body}`;

const LONG = '// Over 300 lines because each command of the interface has its method here.\n';

const PROBES: readonly (readonly [rule: string, path: string, text: string, breach: string])[] = [
  [
    'layers',
    'src/transport/a.ts',
    "// A\nimport { b } from '../store/b.ts';",
    '2: transport may import only types',
  ],
  ['layers', 'src/transport/a.ts', "import type { B } from '../store/b.ts';", ''],
  [
    'layers',
    'src/service/a.ts',
    "import type { B } from '../store/redis/b.ts';",
    '1: service may not import from store/redis',
  ],
  [
    'layers',
    'src/store/memory/a.ts',
    "import { b } from '../redis/b.ts';",
    '1: store/memory may not import from store/redis',
  ],
  ['layers', 'src/store/redis/a.ts', "import { b } from '../../domain/b.ts';", ''],
  [
    'layers',
    'src/domain/a.ts',
    "import {\n  b,\n} from '../config/b.ts';",
    '3: domain may not import from config',
  ],
  ['layers', 'src/domain/a.ts', "export * from '../service/b.ts';", '1: domain may not import from service'],
  [
    'layers',
    'src/domain/a.ts',
    "const b = await import('../main.ts');",
    '1: domain may not import from main',
  ],
  ['layers', 'src/domain/a.ts', "import '../../test/b.ts';", '1: domain may not import from test'],
  [
    'layers',
    'src/service/a.ts',
    "import { b } from '../../generated/b.ts';",
    '1: service may not import from generated',
  ],
  ['layers', 'src/config/a.ts', "import { b } from '../store/b.ts';", '1: config may not import from store'],
  ['layers', 'src/odds/a.ts', '// A', '1: odds is no layer'],
  ['layers', 'src/server/a.ts', "import { b } from '../store/redis/b.ts';", ''],
  [
    'homes of packages',
    'src/admin/a.ts',
    "import { Server } from '@grpc/grpc-js';",
    '1: @grpc/grpc-js belongs in transport',
  ],
  [
    'homes of packages',
    'src/store/a.ts',
    "import { Redis } from 'ioredis';",
    '1: ioredis belongs in store/redis alone',
  ],
  [
    'shipped packages',
    'src/a.ts',
    "const p = { target: 'vitest' };",
    '1: vitest is not installed with the package',
  ],
  ['shipped packages', 'src/a.ts', "import { x } from 'left-pad/x';", '1: left-pad/x is in nobody'],
  ['clock, chance and environment', 'src/admin/a.ts', '// A\nconst e = process.env.A;', '2: the environment'],
  ['clock, chance and environment', 'src/service/a.ts', 'Date.now()', '1: the wall clock'],
  ['clock, chance and environment', 'src/service/a.ts', 'const at = new Date();', '1: the wall clock'],
  ['clock, chance and environment', 'src/service/a.ts', 'const at = new Date(ms); // never Date.now', ''],
  ['clock, chance and environment', 'src/service/a.ts', 'performance.now()', '1: the clock'],
  [
    'clock, chance and environment',
    'src/service/a.ts',
    "import { x } from 'node:timers/promises';",
    '1: timers',
  ],
  ['clock, chance and environment', 'src/store/redis/a.ts', 'setTimeout(f, 1)', '1: timers'],
  ['clock, chance and environment', 'src/store/redis/a.ts', 'f(() => Math.random())', '1: randomness'],
  ['clock, chance and environment', 'src/domain/clock.ts', 'setTimeout(f, Date.now())', ''],
  ['file names', 'src/domain/lockStore.ts', '', '1: lockStore.ts is not kebab-case'],
  ['file names', 'test/unit/lock_store.test.ts', '', '1: lock_store.test.ts is not kebab-case'],
  ['file names', 'src/domain/lock-helpers.ts', '', '1: "helpers" says nothing'],
  ['file names', 'src/domain/types.ts', '', '1: "types" says nothing'],
  ['file names', 'src/domain/index.ts', '', '1: no barrels'],
  ['file names', 'test/unit/lock.waits-in-line.test.ts', '', ''],
  ['opening comment', 'src/a.ts', "import { b } from './b.ts';\n// B", '1: begin with a comment'],
  ['opening comment', 'src/a.ts', '#!/usr/bin/env node\n\n// A', '1: begin with a comment'],
  ['opening comment', 'src/a.ts', '#!/usr/bin/env node\n// A', ''],
  ['columns', 'src/a.ts', `// A\n// ${'word '.repeat(24)}`, '2: 123 columns, more than 120'],
  [
    'columns',
    'src/a.ts',
    `const a = \`\n${'word '.repeat(25)}\`;\n// ${'word '.repeat(24)}`,
    '3: 123 columns',
  ],
  ['columns', 'src/a.ts', `// see https://example.com/${'a'.repeat(100)}`, ''],
  ['columns', 'src/a.ts', `  throw new Error('${'word '.repeat(25)}');`, ''],
  ['length of sources', 'src/a.ts', `// A\n${'f();\n'.repeat(299)}`, ''],
  ['length of sources', 'src/a.ts', `// A\n${'f();\n'.repeat(300)}`, '301: split it by noun, or write'],
  ['length of sources', 'src/a.ts', `// A\n${LONG}${'f();\n'.repeat(398)}`, ''],
  [
    'length of sources',
    'src/a.ts',
    `// A\n\n${LONG}${'f();\n'.repeat(300)}`,
    '303: split it by noun, or write',
  ],
  ['length of sources', 'src/a.ts', `// A\n${LONG}${'f();\n'.repeat(399)}`, '401: more than 400 lines'],
  ['length of sources', 'src/a.ts', `// A\n${LONG}f();\n`, '1: it has only 3 lines'],
  ['nothing left to do', 'docs/a.md', `well\n${'TO'}${'DO'}: more`, '2: do it'],
  ['nothing left to do', 'src/a.ts', `f(); // ${'FIX'}${'ME'}`, '1: do it'],
  ['plain English', 'src/testing/a.ts', "f('Whoever it is');", '1: say "Whoever" in plainer words'],
  [
    'plain English',
    'src/testing/a.ts',
    '// A lease that\n  // shall be mended.',
    '2: say "shall"|2: say "mended"',
  ],
  [
    'plain English',
    'src/testing/a.ts',
    '/** What it may\n * do, and of whom\n */',
    '1: say "may|2: say "of whom"',
  ],
  ['plain English', 'src/testing/a.ts', '// Recommend it: the lease may end, and shallow does', ''],
  [
    'unit tests',
    'test/unit/a.test.ts',
    "// A\nimport { spawn } from 'node:child_process';",
    '2: a unit test starts nothing',
  ],
  [
    'unit tests',
    'test/unit/a.test.ts',
    "import { RedisProcess } from '../support/redis/redis-process.ts';",
    '1: a unit test starts nothing',
  ],
  ['unit tests', 'test/unit/a.test.ts', "import { ManualClock } from '../support/manual-clock.ts';", ''],
  ['tests that run', 'test/a.test.ts', "test.only('a', f);", '1: .only switches'],
  ['tests that run', 'test/a.test.ts', "f();\ndescribe.skip('a', f);", '2: say in a comment'],
  ['tests that run', 'test/a.test.ts', "test.skipIf(windows)('a', f);", '1: say in a comment'],
  [
    'tests that run',
    'test/a.test.ts',
    "// Only Linux has these addresses.\ntest.skipIf(!linux)('a', f);",
    '',
  ],
  [
    'Lua header',
    'src/a.lua',
    '-- Does it.\n-- KEYS\n-- ARGV\n-- REPLY\nreturn 1',
    '1: the first line is "#!lua"',
  ],
  ['Lua header', 'src/a.lua', lua('').replace('-- ARGV', '-- args'), '2: the header has no "-- ARGV"'],
  [
    'Lua header',
    'src/a.lua',
    `${lua('').replace('-- REPLY', '')}\n-- REPLY ok`,
    '2: the header has no "-- REPLY"',
  ],
  ['Lua header', 'src/a.lua', lua('local a = KEYS[1]'), ''],
  ['Lua names', 'src/a.lua', lua("local a = KEYS[1]\n\nredis.call('DEL', a, ARGV[1])"), '9: give it a name'],
  ['Lua names', 'src/a.lua', lua("redis.call('DEL', KEYS[1])"), '7: give it a name'],
  ['Lua names', 'src/a.lua', lua('local a = KEYS[1]\n\nlocal b = ARGV[1]'), '9: give it a name'],
  ['Lua names', 'src/a.lua', lua('local a, b = KEYS[1], ARGV[1]\n\n-- not ARGV[1]\nreturn a .. b'), ''],
];

test.each(PROBES)('the rule "%s" judges %s: %j', (name, path, text, breach) => {
  const rule = RULES.find((candidate) => candidate.name === name);
  expect(rule?.at.test(path)).toBe(true);
  const found = rule?.check(path, text) ?? [];
  const expected = breach === '' ? [] : breach.split('|');
  expect(found.map((line, index) => line.slice(0, expected[index]?.length))).toEqual(expected);
});

test('every rule has been shown to fail', () => {
  const shown = PROBES.filter(([, , , breach]) => breach !== '').map(([name]) => name);
  expect(RULES.map(({ name }) => name).filter((name) => !shown.includes(name))).toEqual([]);
});

test('the search for circles finds imports of types alone and through files between, and nothing else', () => {
  const graph = new Map([
    ['src/a.ts', "import { b } from './b.ts';"],
    ['src/b.ts', "import type { C } from './deep/c.ts';\nimport { d } from './d.ts';"],
    ['src/deep/c.ts', "export * from '../a.ts';"],
    ['src/d.ts', "// import { a } from './a.ts';\nimport { x } from 'left-pad';"],
    ['src/e.ts', "const e = await import('./e.ts');"],
    ['src/f.ts', "import { a } from './a.ts';\nimport { e } from './e.ts';"],
  ]);
  expect(importCircles(graph)).toEqual([['src/a.ts', 'src/b.ts', 'src/deep/c.ts'], ['src/e.ts']]);
});

test('the search for shared names finds names that stand twice', () => {
  expect(sharedNames(['src/b/lock.ts', 'test/a/lock.ts', 'src/c.ts', 'test/c.test.ts'])).toEqual([
    'lock.ts: src/b/lock.ts, test/a/lock.ts',
  ]);
});

test('the list of scripts shows missing and forgotten ones', () => {
  expect(
    scriptList("const SCRIPT_NAMES = [\n  'a-b',\n  'c',\n] as const;", [
      'x/c.lua',
      'x/d.lua',
      'x/prelude.lua',
    ]),
  ).toEqual(['a-b is in SCRIPT_NAMES, but there is no a-b.lua', 'd.lua is not in SCRIPT_NAMES']);
});

test('the check of dependencies finds those without a reason, reasons without a dependency, and doubles', () => {
  const page = `${RUN_TIME}\n\n| \`a\` | x |\n| \`gone\` | x |\n\n${DEVELOPMENT}\n\n| \`d\` | x |\n| \`d\` | x |\n`;
  expect(
    dependencyReasons({ dependencies: { a: '1', b: '1' }, devDependencies: { b: '1', d: '1' } }, page),
  ).toEqual([
    'b is a dependency twice',
    `b has no line under "${RUN_TIME}"`,
    `"${RUN_TIME}" tells of gone, which package.json doesn't have there`,
    `b has no line under "${DEVELOPMENT}"`,
    'd has two lines',
  ]);
});
