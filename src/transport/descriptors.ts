// The descriptors of everything that this server serves, and of all files that those import, as `buf build` compiled
// them (generated/descriptors.binpb, by scripts/generate.ts). Owns which file declares a name. The files go out byte
// for byte: descriptors that are rebuilt from loaded .proto files lack their imports, and no tool can link those.

import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescField,
  type DescFile,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** The same from src/transport and from dist/src/transport. */
const SET = new URL('../../generated/descriptors.binpb', import.meta.url);

export class Descriptors {
  /** Full names. */
  readonly services: readonly string[];
  readonly #registry: FileRegistry;
  readonly #bytes: ReadonlyMap<string, Uint8Array>;
  readonly #declaredIn = new Map<string, DescFile>();

  /** Takes a serialized google.protobuf.FileDescriptorSet. Throws if a file of it can't be linked. */
  constructor(set: Uint8Array) {
    const { file } = fromBinary(FileDescriptorSetSchema, set);
    const bytes = filesOf(set);
    this.#bytes = new Map(file.map(({ name }, index) => [name, bytes[index] ?? new Uint8Array()]));
    this.#registry = createFileRegistry({ $typeName: 'google.protobuf.FileDescriptorSet', file });
    for (const type of this.#registry) {
      this.#declaredIn.set(type.typeName, type.file);
      for (const name of membersOf(type)) this.#declaredIn.set(name, type.file);
    }
    this.services = [...this.#registry]
      .filter(({ kind }) => kind === 'service')
      .map(({ typeName }) => typeName);
  }

  static ofThisBuild(): Descriptors {
    return new Descriptors(readFileSync(SET));
  }

  /** The file of this path and then everything that it imports, directly or not, as FileDescriptorProtos. */
  file(path: string): readonly Uint8Array[] | undefined {
    const file = this.#registry.getFile(path);
    return file && this.#withImports(file);
  }

  /** As `file`, for the file that declares a type, service, method, field or enum value of this full name. */
  fileOf(name: string): readonly Uint8Array[] | undefined {
    const file = this.#declaredIn.get(name);
    return file && this.#withImports(file);
  }

  fileOfExtension(extended: string, number: number): readonly Uint8Array[] | undefined {
    const found = this.#extensionsOf(extended).find((extension) => extension.number === number);
    return found && this.#withImports(found.file);
  }

  /** Undefined if there is no such message. */
  extensionNumbers(extended: string): readonly number[] | undefined {
    if (this.#registry.getMessage(extended) === undefined) return undefined;
    return this.#extensionsOf(extended).map(({ number }) => number);
  }

  #extensionsOf(extended: string) {
    return [...this.#registry]
      .filter((type) => type.kind === 'extension')
      .filter(({ extendee }) => extendee.typeName === extended);
  }

  #withImports(file: DescFile): Uint8Array[] {
    const files = new Set([file]);
    // A set goes on to what is added to it on the way.
    for (const { dependencies } of files) for (const imported of dependencies) files.add(imported);
    return [...files].map(({ proto }) => this.#bytes.get(proto.name) ?? new Uint8Array());
  }
}

/** What is declared in a type and is no type itself, by full name. */
function membersOf(type: FileRegistry extends Iterable<infer Type> ? Type : never): string[] {
  switch (type.kind) {
    case 'service':
      return type.methods.map(({ name }) => `${type.typeName}.${name}`);
    case 'message':
      return [...type.fields, ...type.oneofs].map(
        ({ name }: Pick<DescField, 'name'>) => `${type.typeName}.${name}`,
      );
    case 'enum': {
      // As in C, the values of an enum are its siblings.
      const scope = type.typeName.slice(0, -type.name.length);
      return type.values.map(({ name }) => scope + name);
    }
    case 'extension':
      return [];
  }
}

/** The serialized files of a serialized set, whose only field they are. */
function filesOf(set: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(set);
  const files: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    reader.tag();
    files.push(reader.bytes());
  }
  return files;
}
