// Our own words for what can be wrong with a YAML text. The parser's messages quote the text around a mistake, and
// that text may be a password.
import type { ErrorCode } from 'yaml';

const QUOTE_HINT = 'put a text with special characters in quotes';

const COMPLAINTS: Partial<Record<ErrorCode, string>> = {
  BAD_DQ_ESCAPE: 'unknown escape in a text in double quotes; single quotes know none',
  BAD_INDENT: 'the indentation does not fit the lines before it',
  BAD_SCALAR_START: `a text cannot start with this character; ${QUOTE_HINT}`,
  KEY_OVER_1024_CHARS: 'a key is too long; perhaps a quote is missing before it',
  MISSING_CHAR: 'a quote, bracket, comma, or a space after a colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines; perhaps a colon or a quote is missing before it',
  MULTIPLE_DOCS: 'there is more than one document in the file (a line with ---)',
  TAB_AS_INDENT: 'indented with a tab; YAML wants spaces',
  TAG_RESOLVE_FAILED: `unknown tag (a word after !); ${QUOTE_HINT}`,
};

export function complainAboutYaml(code: ErrorCode): string {
  return `not valid YAML: ${COMPLAINTS[code] ?? `the text cannot be understood here; ${QUOTE_HINT}`}`;
}

export const BAD_ALIAS_COMPLAINT = `the reference (*) names nothing before it, or refers to too much; ${QUOTE_HINT}`;
