/**
 * What a person sees when the stack is up: where everything is, and what to try first.
 */
export interface Row {
  readonly service: string
  readonly url: string
  readonly docs: string
  readonly state: string
}

export const table = (rows: ReadonlyArray<Row>): string => {
  const cells = [["service", "url", "docs", "state"], ...rows.map((row) => [row.service, row.url, row.docs, row.state])]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ")}`.trimEnd()
  )
  const rule = `  ${widths.map((width) => "─".repeat(width)).join("   ")}`
  return [lines[0], rule, ...lines.slice(1)].join("\n")
}

export const firstSteps = (inventoryUrl: string): string => `Try first:

  curl -X POST ${inventoryUrl}/products \\
    -H "Content-Type: application/json" \\
    -d '{"name": "Wireless Mouse", "sku": "MOUSE-001", "priceCents": 2999}'

  curl ${inventoryUrl}/products`
