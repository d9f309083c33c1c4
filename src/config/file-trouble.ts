// Why a file could not be opened, in words for the person who named it. Never shows the path: the caller knows whether
// it may be shown.

export function fileTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'no permission to read it';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return typeof code === 'string' ? `error ${code}` : 'unknown error';
  }
}
