// The names that protoc gives to Java: with java_multiple_files, each message, enum and service is a class of its own,
// and so is each file. Two that are the same end every build of the Java client.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FOLDER = join(import.meta.dirname, '../../proto/leasehold/v1');

/** As protoc makes it of the file's name: server_info.proto is ServerInfo. */
function classOf(file: string): string {
  const words = file.replace(/\.proto$/, '').split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

test('no file of the proto has the name of a message, enum or service of another one', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.proto'));
  const owners = new Map<string, string>();
  for (const file of files) {
    const text = readFileSync(join(FOLDER, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/^(?:message|enum|service) (\w+)/gm)) owners.set(name, file);
  }
  expect(owners.size).toBeGreaterThan(50);
  // Within one file, protoc gives the class of the file another name.
  const clashes = files.filter((file) => (owners.get(classOf(file)) ?? file) !== file);
  expect(clashes).toEqual([]);
});
