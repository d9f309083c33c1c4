// Reads the tables of the pages in docs/, for the tests that compare them with the code.

/** The rows of the first table under a heading, each cell without its code marks. */
export function table(text: string, heading: string): string[][] {
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  const [first = ''] = /(^\|.*\n)+/m.exec(section ?? '') ?? [];
  const lines = first.trim().split('\n');
  if (lines.length < 3) throw new Error(`no table under "${heading}"`);
  return lines.slice(2).map((line) => line.slice(2, -2).split(' | ').map(withoutMarks));
}

function withoutMarks(cell: string): string {
  return cell.trim().replaceAll('`', '');
}
