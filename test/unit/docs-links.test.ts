// The Markdown pages as a reader meets them: each relative link leads to a file that exists, and to a heading in it;
// lines are no longer than an editor shows; the README stays short. What the pages say is checked elsewhere (docs-*).
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
/** Folders of the project that hold pages of its own. */
const FOLDERS = ['docs', 'examples', 'clients', 'bench', 'test', 'proto'];
const NOT_OURS = /(^|\/)(node_modules|\.[^/]+|build|dist|target)\//;
/** Generated beside the code that it describes, so its form isn't ours to choose. */
const GENERATED = 'proto/third_party/README.md';
const LONGEST_LINE = 120;
const LONGEST_README = 220;

const inFolders = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
);
const paths = [...readdirSync(ROOT), ...inFolders].filter(
  (path) => path.endsWith('.md') && !NOT_OURS.test(path),
);
const pages = new Map(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));

/** A page's lines outside of fenced and indented code, each with its number. */
function prose(text: string): { readonly line: string; readonly number: number }[] {
  let fenced = false;
  return text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => {
      const isFence = line.trimStart().startsWith('```');
      if (isFence) fenced = !fenced;
      return !fenced && !isFence && !/^ {4}(?![-*\d])/.test(line);
    });
}

/** As GitHub makes them: letters, digits, `_` and `-` of the title, and a number after a title that comes again. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const titles = prose(text).flatMap(({ line }) => /^#{1,6} (.+)$/.exec(line)?.[1] ?? []);
  return new Set(
    titles.map((title) => {
      const shown = title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '');
      const anchor = shown
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-');
      const before = seen.get(anchor) ?? 0;
      seen.set(anchor, before + 1);
      return before === 0 ? anchor : `${anchor}-${before}`;
    }),
  );
}

/** The targets of a page's links: inline, images, and link definitions. */
function linksOf(text: string): string[] {
  const lines = prose(text).map(({ line }) => line.replaceAll(/`[^`]*`/g, '``'));
  const inline = [...lines.join('\n').matchAll(/\]\(([^()\s]+)\)/g)].map((match) => match[1] ?? '');
  const defined = lines.flatMap((line) => /^\[[^\]]+\]: (\S+)$/.exec(line)?.[1] ?? []);
  return [...inline, ...defined];
}

function broken(path: string, text: string): string[] {
  return linksOf(text)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
      if (target === path) return anchor !== undefined && !anchorsOf(text).has(anchor);
      if (target.startsWith('..') || !existsSync(join(ROOT, target))) return true;
      const page = pages.get(target);
      return anchor !== undefined && (page === undefined || !anchorsOf(page).has(anchor));
    });
}

test('every relative link of a page leads to a file, and its anchor to a heading there', () => {
  expect(pages.size).toBeGreaterThan(20);
  const all = [...pages].flatMap(([path, text]) => broken(path, text).map((link) => `${path}: ${link}`));
  expect(all).toEqual([]);
});

test.each([
  ['a file that exists', '[a](docs/errors.md)', []],
  ['no such file', '[a](docs/none.md)', ['docs/none.md']],
  ['outside of the project', '[a](../up.md)', ['../up.md']],
  ['a heading', '[a](docs/errors.md#every-reason)', []],
  ['no such heading', '[a](docs/errors.md#no-reason)', ['docs/errors.md#no-reason']],
  ['a heading of its own', '# It is `so`: why?\n[a](#it-is-so-why)', []],
  ['the second of two', '# A\n# A\n[a](#a-1)', []],
  ['a heading in code', '```sh\n# A\n```\n[a](#a)', ['#a']],
  ['a link definition', '[a]: docs/none.md', ['docs/none.md']],
  ['code that looks like one', '`[a](docs/none.md)`', []],
  ['a link of the web', '[a](https://example.com/none#x)', []],
])('a link to %s is judged as expected', (_what, text, expected) => {
  expect(broken('PAGE.md', text)).toEqual(expected);
});

test('the README can be read in one sitting', () => {
  expect((pages.get('README.md') ?? '').split('\n').length - 1).toBeLessThanOrEqual(LONGEST_README);
});

test('lines outside of tables, code and links are no longer than an editor shows', () => {
  const long = [...pages]
    .filter(([path]) => path !== GENERATED)
    .flatMap(([path, text]) =>
      prose(text)
        .filter(({ line }) => [...line].length > LONGEST_LINE && !/^\s*\|/.test(line))
        .filter(({ line }) => !/^\s*!?\[[^\]]*\](\(|: )\S+$/.test(line))
        .map(({ number, line }) => `${path}:${number}: ${[...line].length}`),
    );
  expect(long).toEqual([]);
});
