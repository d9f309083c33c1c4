// How one row of the table in settings.ts is written down: a zod schema, and beside it what the schema cannot tell
// (the words of the documentation, how an environment variable is read).
import { z } from 'zod';
import type { ValueKind } from './value-kind.ts';

export interface SettingNotes {
  /** Accepted values, in words. */
  readonly expected: string;
  /** As it would be written in the file; undefined when leaving the key out means something else than a value. */
  readonly defaultText: string | undefined;
  readonly description: string;
  readonly fromText: (text: string) => unknown;
}

const notes = z.registry<SettingNotes>();

/** A setting that may be left out; `description` says what that means where it isn't plain. */
export function optional<S extends z.ZodType>(kind: ValueKind<S>, description: string): z.ZodOptional<S> {
  return annotate(z.optional(kind.schema), kind, undefined, description);
}

/** A setting with a default in the notation of the file, which has to pass the same checks as a given value. */
export function withDefault<S extends z.ZodType>(
  kind: ValueKind<S>,
  value: z.core.util.NoUndefined<z.input<S>> & (string | number | boolean),
  description: string,
): z.ZodPrefault<S> {
  return annotate(z.prefault(kind.schema, value), kind, String(value), description);
}

/** @throws when the schema isn't a row of the table: a mistake in this code, not in a configuration. */
export function notesOf(schema: z.ZodType): SettingNotes {
  const found = notes.get(schema);
  if (found === undefined) throw new Error('a setting without notes');
  return found;
}

function annotate<W extends z.ZodType>(
  schema: W,
  kind: ValueKind<z.ZodType>,
  defaultText: string | undefined,
  description: string,
): W {
  notes.add(schema, {
    expected: kind.expected,
    defaultText,
    description,
    fromText: (written) => kind.fromText(written),
  });
  return schema;
}
