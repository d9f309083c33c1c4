// As much of Redis's protocol as tests need that play Redis or a Sentinel: commands in, bulk strings and lists out.

export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

export function list(texts: readonly string[]): string {
  return `*${texts.length}\r\n${texts.map(bulk).join('')}`;
}

/** The first command in `bytes` and how many of them it takes; undefined while it has not arrived completely. */
export function readCommand(bytes: Buffer): { command: string[]; length: number } | undefined {
  let at = 0;
  const line = (mark: string): number | undefined => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const text = bytes.toString('latin1', at, end);
    if (text[0] !== mark) throw new Error(`no command: ${text}`);
    at = end + 2;
    return Number(text.slice(1));
  };
  const count = line('*');
  if (count === undefined) return undefined;
  const command: string[] = [];
  while (command.length < count) {
    const size = line('$');
    if (size === undefined || bytes.length < at + size + 2) return undefined;
    command.push(bytes.toString('utf8', at, at + size));
    at += size + 2;
  }
  return { command, length: at };
}
