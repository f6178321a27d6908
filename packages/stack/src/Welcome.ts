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

export const firstSteps = (inventoryUrl: string, edgeUrl: string): string => `Try first:

  curl -X POST ${inventoryUrl}/products \\
    -H "Content-Type: application/json" \\
    -d '{"name": "Wireless Mouse", "sku": "MOUSE-001", "priceCents": 2999}'

and then, with the id that it answers:

  curl -X POST ${edgeUrl}/orders \\
    -H "Content-Type: application/json" -H "Idempotency-Key: order-001" \\
    -d '{"user_id": "550e8400-e29b-41d4-a716-446655440000", "email": "test@example.com",
         "items": [{"product_id": "<id>", "quantity": 2}],
         "payment": {"method": "card", "token": "tok_visa_success"}}'`
