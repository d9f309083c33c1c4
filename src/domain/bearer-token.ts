// The form of a bearer token, as a client takes it from an option, a variable or a file. No error that speaks of a
// token repeats any part of it.

const TOKEN = /^[\x21-\x7e]+$/;

/**
 * The token without the white space around it: a secret that was written with `echo` ends in a newline, and so do most
 * secrets of Kubernetes. Undefined where the rest is no token; a header with it would be refused with the whole text.
 */
export function bearerTokenIn(text: string): string | undefined {
  const token = text.trim();
  return TOKEN.test(token) ? token : undefined;
}
