// A trouble that is looked at again and again, and told once for as long as it stays the same.

/** Returns what to call with the trouble of each look, undefined for none; `tell` hears of a trouble that is new. */
export function toldOnce(tell: (reason: string) => void): (reason: string | undefined) => void {
  let told: string | undefined;
  return (reason) => {
    if (reason !== undefined && reason !== told) tell(reason);
    told = reason;
  };
}
