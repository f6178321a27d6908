/**
 * What must not leave a process, taken out of texts that were written by somebody else: messages of errors, above all.
 *
 * Spans and log lines of our own name no secret to begin with. This is the net below that.
 */

/** Behind each a text without which it cannot be there: looking for that costs next to nothing. */
const patterns: ReadonlyArray<readonly [RegExp, string, needs?: string]> = [
  [/[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/gu, "(e-mail)", "@"],
  [/\btok_\w+/gu, "(card token)", "tok_"],
  [/\bBearer\s+[\w.~+/-]+=*/giu, "Bearer (token)"],
  [/(postgres(?:ql)?:\/\/[^:/@\s]+):[^@\s]+@/gu, "$1:(password)@", "://"]
]

export const scrub = (text: string): string => {
  // An error may quote all of what it did not understand.
  let scrubbed = text.length > longest ? `${text.slice(0, longest)}…` : text
  for (const [pattern, instead, needs = ""] of patterns) {
    if (scrubbed.includes(needs)) scrubbed = scrubbed.replaceAll(pattern, instead)
  }
  return scrubbed
}

const longest = 8192
