/**
 * What a person sees when the stack is up: where everything is, and what to try first.
 */
export interface Row {
  readonly service: string
  readonly url: string
  readonly docs: string
  readonly state: string
}

export const table = (rows: ReadonlyArray<Row>): string =>
  columns(
    ["service", "url", "docs", "state"],
    rows.map(({ docs, service, state, url }) => [service, url, docs, state])
  )

/** Cells below their headings, each as wide as it has to be. */
export const columns = (headings: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0))
  )
  const lineOf = (cells: ReadonlyArray<string>) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ")}`.trimEnd()
  const rule = `  ${widths.map((width) => "─".repeat(width)).join("   ")}`
  return [lineOf(headings), rule, ...rows.map(lineOf)].join("\n")
}

export const firstSteps = (inventoryUrl: string, edgeUrl: string): string => `Try first:

  curl -X POST ${inventoryUrl}/products \\
    -H "Content-Type: application/json" \\
    -d '{"name": "Wireless Mouse", "sku": "MOUSE-001", "priceCents": 2999, "initialStock": 100}'

and then, with the id that it answers:

  curl -X POST ${edgeUrl}/orders \\
    -H "Content-Type: application/json" -H "Idempotency-Key: order-001" \\
    -d '{"user_id": "550e8400-e29b-41d4-a716-446655440000", "email": "test@example.com",
         "items": [{"product_id": "<id>", "quantity": 2}],
         "payment": {"method": "card", "token": "tok_visa_success"}}'`
