// Puts the shared Lua parts before the body of a script: of what they declare only what the script uses, directly or
// through another declaration. Owns how that is found; which parts and scripts there are is in scripts.ts.
//
// Redis makes a new closure for each function that a script defines, each time it runs. Of some eighty functions in the
// parts, a script uses about a third.

/** A declaration at the left margin, with the indented lines that belong to it. */
const DECLARATION = /^local (?:function (\w+)|(\w+(?:, \w+)*) =).*\n(?:(?:[ \t].*|end)\n)*/gm;

/**
 * The declarations of `parts` that `body` needs, in their order, and then `body`. A declaration is kept when its name
 * stands anywhere behind it, except after a dot, in a comment or in a text. So a local variable of the same name keeps
 * what nobody uses, but nothing that is used is ever missing.
 *
 * @throws Error when a part holds something at its left margin that is neither a local declaration nor a comment.
 */
export function composeScript(parts: string, body: string): string {
  const [other] = /^(?!--).+/m.exec(parts.replaceAll(DECLARATION, '')) ?? [];
  if (other !== undefined)
    throw new Error(`a shared Lua part may hold only local declarations, not "${other}"`);
  let needed = codeOf(body);
  const kept: string[] = [];
  // A declaration is used only by what follows it, so one pass from the end finds all.
  for (const [text, functionName, constants = ''] of [...parts.matchAll(DECLARATION)].toReversed()) {
    const names = functionName === undefined ? constants.split(', ') : [functionName];
    if (!names.some((name) => new RegExp(`(?<![.\\w])${name}\\b`).test(needed))) continue;
    needed += codeOf(text);
    kept.unshift(text);
  }
  return kept.join('') + body;
}

/** Without comments and texts: what is named there is not used. */
function codeOf(lua: string): string {
  return lua.replaceAll(/--.*|'[^'\n]*'|"[^"\n]*"/g, '');
}
