/**
 * PromQL, as far as it takes to see which metrics a query asks for, and by which labels.
 */
export interface Label {
  readonly name: string
  /** What it is to be, where a selector says so with `=`. */
  readonly value: string | undefined
}

export interface Asked {
  readonly metric: string
  readonly labels: ReadonlyArray<Label>
}

interface Token {
  readonly kind: "text" | "name" | "sign"
  readonly text: string
}

/** Texts, ranges, variables of Grafana, numbers and durations, names, signs. */
const pattern =
  /(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<passed>\s+|\[[^\]]*\]|\$\w+|\$\{\w+\}|\d[\w.]*)|(?<name>[a-z_:][\w:]*)|(?<sign>[=!]~|[!=<>]=|[=<>+\-*/%^(){},])/giuy

const tokensOf = (query: string): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let end = 0
  for (const { 0: whole, groups, index } of query.matchAll(pattern)) {
    end = index + whole.length
    const { name, sign, text } = groups ?? {}
    if (text !== undefined) tokens.push({ kind: "text", text: text.slice(1, -1) })
    else if (name !== undefined) tokens.push({ kind: "name", text: name })
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign })
  }
  if (end !== query.length) throw new Error(`"${query.slice(end)}" cannot be read`)
  return tokens
}

const grouping = new Set(["by", "without"])
const matching = new Set(["on", "ignoring", "group_left", "group_right"])
const words = new Set(["and", "or", "unless", "bool", "offset", "inf", "nan"])

/** Every metric of the query, with the labels of its selector and of what it is grouped by. */
export const askedBy = (query: string): ReadonlyArray<Asked> => {
  const tokens = tokensOf(query)
  const isSign = (place: number, sign: string) => tokens[place]?.kind === "sign" && tokens[place].text === sign
  const asked: Array<{ readonly place: number; readonly metric: string; readonly labels: Array<Label> }> = []
  /** The parentheses that are open, where each began; and the last that were closed. */
  const open: Array<number> = []
  let closed = [0, 0]
  const groups: Array<{ readonly labels: ReadonlyArray<string>; readonly from: number; readonly to: number }> = []

  /** Where what opens here is closed. */
  const endOf = (from: number) => {
    let depth = 0
    for (let place = from; place < tokens.length; place++) {
      if (isSign(place, "(") || isSign(place, "{")) depth += 1
      if (isSign(place, ")") || isSign(place, "}")) depth -= 1
      if (depth === 0) return place
    }
    throw new Error(`a parenthesis of "${query}" is not closed`)
  }
  const namesIn = (from: number, to: number) =>
    tokens.slice(from, to).flatMap(({ kind, text }) => (kind === "name" ? [text] : []))

  for (let place = 0; place < tokens.length; place++) {
    const { kind, text } = tokens[place] ?? { kind: "sign", text: "" }
    if (isSign(place, "{")) throw new Error(`a selector of "${query}" names no metric`)
    if (isSign(place, "(")) open.push(place)
    if (isSign(place, ")")) closed = [open.pop() ?? 0, place]
    if (kind !== "name" || words.has(text.toLowerCase())) continue
    if (grouping.has(text) || matching.has(text)) {
      if (!isSign(place + 1, "(")) continue
      const end = endOf(place + 1)
      const labels = namesIn(place + 1, end)
      const isBefore = isSign(end + 1, "(")
      const [from = 0, to = 0] = isBefore ? [end + 1, endOf(end + 1)] : closed
      // What is matched on may be a label of one side only, and is not looked at.
      if (grouping.has(text)) groups.push({ labels, from, to })
      place = end
    } else if (!isSign(place + 1, "(") && !grouping.has(tokens[place + 1]?.text ?? "")) {
      const end = isSign(place + 1, "{") ? endOf(place + 1) : place
      asked.push({ place, metric: text, labels: [...labelsIn(tokens.slice(place + 2, end))] })
      place = end
    }
  }
  if (open.length > 0) throw new Error(`a parenthesis of "${query}" is not closed`)
  return asked.map(({ labels, metric, place }) => ({
    metric,
    labels: [
      ...labels,
      ...groups
        .filter(({ from, to }) => from < place && place < to)
        .flatMap((group) => group.labels.map((name) => ({ name, value: undefined })))
    ]
  }))
}

/** `a="b", c=~"d"` */
const labelsIn = (tokens: ReadonlyArray<Token>): ReadonlyArray<Label> =>
  tokens.flatMap(({ kind, text: name }, place) => {
    if (kind !== "name") return []
    const [sign, value] = tokens.slice(place + 1, place + 3)
    return [{ name, value: sign?.text === "=" ? value?.text : undefined }]
  })
