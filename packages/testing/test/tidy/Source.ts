/**
 * A file as the rules see it: its text, and apart from each other its code and its comments.
 *
 * The code has blanks for comments and for whatever stands in quotes, so that prose and SQL trip no rule. Both are as
 * long as the text: a place in one is the same place in the other.
 */
export interface Source {
  /** From the top of the repository, with slashes. */
  readonly path: string
  readonly text: string
  readonly code: string
  readonly comments: string
  readonly imports: ReadonlyArray<Import>
}

export interface Import {
  readonly specifier: string
  readonly index: number
}

export const make = (path: string, text: string): Source => {
  if (!/\.[cm]?[jt]sx?$/.test(path)) return { path, text, code: "", comments: "", imports: [] }
  const { code, comments } = scan(text)
  return { path, text, code, comments, imports: importsOf(text, code) }
}

/** A violation as editors make a link of it: `packages/saga/src/Saga.ts:12 …`. */
export const at = ({ path, text }: Source, index: number, complaint: string) =>
  `${path}:${text.slice(0, index).split("\n").length} ${complaint}`

export const complainOfEach = (source: Source, view: string, pattern: RegExp, complaint: string) =>
  Array.from(view.matchAll(pattern), ({ index }) => at(source, index, complaint))

export const blank = (text: string) => text.replaceAll(/\S/g, " ")

export const countLines = ({ text }: Source) => text.replace(/\n$/, "").split("\n").length

const importsOf = (text: string, code: string): ReadonlyArray<Import> =>
  Array.from(code.matchAll(/(?<![.\w])(?:from|import|import\s*\()\s*(["'])\s*\1/g), ({ index, 0: match, 1: quote }) => {
    const start = index + match.indexOf(quote ?? "") + 1
    return { specifier: text.slice(start, index + match.length - 1), index }
  })

const comment = /^(?:\/\/[^\n]*|\/\*[\s\S]*?\*\/)/
const quoted = /^(?:"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*')/
const regularExpression = /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/\w*/
const templateText = /^(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/
/** What a slash may stand behind and still begin a regular expression; behind anything else it divides. */
const beforeExpression = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|of|in|yield|await|else))\s*$/

/** Takes the text apart into code and comments. It knows as much of the language as that needs, and no more. */
export const scan = (text: string) => {
  let code = ""
  let comments = ""
  let braces = 0
  /** For each template literal around this place: how many braces were open where its `${` began. */
  const templates: Array<number> = []

  const take = (pattern: RegExp) => pattern.exec(text.slice(code.length))?.[0]
  const put = (asCode: string, asComment = blank(asCode)) => {
    code += asCode
    comments += asComment
  }
  const putQuoted = (literal: string) => put(literal.charAt(0) + blank(literal.slice(1, -1)) + literal.slice(-1))
  const putTemplateText = () => {
    put(blank(take(templateText) ?? ""))
    const opensCode = text.startsWith("${", code.length)
    put(text.slice(code.length, code.length + (opensCode ? 2 : 1)))
    if (opensCode) templates.push(braces)
  }

  while (code.length < text.length) {
    const next = text.charAt(code.length)
    const ofComment = next === "/" ? take(comment) : undefined
    const ofQuotes = next === '"' || next === "'" ? take(quoted) : undefined
    // The last line tells what a slash means: looking at all of the code each time would take long.
    const mayBegin = next === "/" && beforeExpression.test(code.slice(-200))
    const ofExpression = mayBegin && ofComment === undefined ? take(regularExpression) : undefined

    if (ofComment !== undefined) put(blank(ofComment), ofComment)
    else if (ofQuotes !== undefined) putQuoted(ofQuotes)
    else if (ofExpression !== undefined) put(blank(ofExpression))
    else {
      put(next)
      if (next === "{") braces++
      if (next === "`") putTemplateText()
      if (next === "}" && templates.at(-1) === braces) {
        templates.pop()
        putTemplateText()
      } else if (next === "}") braces--
    }
  }
  return { code, comments }
}
