// The word of a reply that names the operations which became dead in its script. Several scripts find them, and each
// death is told in one reply.

/** Their types; one for each of them. */
export function deathsOf(word: string | undefined): readonly string[] {
  return word ? word.split('\t') : [];
}
