import { assert, describe, it } from "vitest"

import { insertOf } from "../src/Fill.ts"
import { statementOf } from "../src/Limit.ts"
import { type OrderRows, valueOf } from "../src/OrderRows.ts"
import { readStat } from "../src/Processes.ts"

const rows: OrderRows = {
  ids: 2,
  tables: [
    { table: "a.outbox", columns: [{ name: "data", type: "jsonb" }], rows: [[['{"id":"', 0, '","name":"it\'s"}']]] },
    {
      table: "a.b",
      columns: [
        { name: "x", type: "text" },
        { name: "y", type: "uuid" }
      ],
      rows: [[["pay_", -1, ""], null]]
    }
  ]
}

describe("the rows of an order, once more", () => {
  it("Ids take the places of the first order's, with dashes and without.", () => {
    const ids = ["01a1fe7e-e360-7f4b-941b-3c65aea97e76", "product"]
    assert.strictEqual(valueOf(["pay_", -1, "!"], ids), "pay_01a1fe7ee3607f4b941b3c65aea97e76!")
    assert.strictEqual(valueOf(["", 0, " of ", 1, ""], ids), `${ids[0]} of product`)
    assert.isNull(valueOf(null, ids))
  })

  it("One statement writes all tables, each column as an array of its own.", () => {
    const statement = statementOf(rows)
    assert.include(statement, 'INSERT INTO a.outbox ("data") SELECT c0::jsonb FROM unnest($1::text[]) AS given (c0)')
    assert.include(
      statement,
      'INSERT INTO a.b ("x", "y") SELECT c0::text, c1::uuid FROM unnest($2::text[], $3::text[])'
    )
    assert.include(statement, "unnest($4::text[], $5::text[]) AS given (id, version)")
  })

  it("Events that fill a table lie before all that anybody has read, and quotes are no end of a text.", () => {
    const [outbox] = rows.tables
    const insert = outbox === undefined ? "" : insertOf(outbox, outbox.rows[0] ?? [])
    assert.include(insert, `'","name":"it''s"}'`)
    assert.match(insert, /, xid\) SELECT .*'1'::xid8 FROM generate_series/s)
  })
})

describe("what the kernel tells of a process", () => {
  it("A name with blanks and parentheses shifts nothing.", () => {
    const fields = ["S", "7", ...Array.from({ length: 9 }, () => "0"), "100", "20", "3", "4", "20", "0"]
    assert.deepStrictEqual(readStat(`42 (a) b (c) ${fields.join(" ")}`), {
      parent: 7,
      millis: 1200,
      childrenMillis: 70
    })
  })
})
