import * as Sets from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Result, Schema } from "effect"
import * as fc from "fast-check"

type Column = ReturnType<typeof Sets.texts>

/** The values of a column as PostgreSQL hands them back, in the order in which they came. */
const back = Effect.fn("back")(function* (column: Column) {
  const { administrator: sql } = yield* TestDatabase
  const rows = yield* sql<{ value: unknown }>`
    SELECT value FROM unnest(${column}) WITH ORDINALITY AS input (value, place) ORDER BY place`
  return rows.map(({ value }) => value)
})

const uuid = "01a1fd3d-51e8-7bff-b746-d089b67cdc6b"
const oddTexts = [
  "",
  " ",
  "NULL",
  "null",
  "{}",
  '{"a","b"}',
  "a,b",
  '"',
  "'",
  "\\",
  "\\x41",
  "$1",
  "a\nb\tc",
  "ä€😀",
  "\ufeff"
]
const oddJsons = [{}, [], [1, [2]], { a: null, "b c": ["\\", '"'] }, "text", "", 0, -1.5, 1e300, true, false]

const columns: ReadonlyArray<readonly [kind: string, column: Column, values: ReadonlyArray<unknown>]> = [
  [
    "uuids",
    Sets.uuids([uuid, null, "00000000-0000-0000-0000-000000000000"]),
    [uuid, null, "00000000-0000-0000-0000-000000000000"]
  ],
  ["texts", Sets.texts([...oddTexts, null]), [...oddTexts, null]],
  ["integers", Sets.integers([0, null, 2_147_483_647, -2_147_483_648]), [0, null, 2_147_483_647, -2_147_483_648]],
  ["booleans", Sets.booleans([true, null, false]), [true, null, false]],
  ["longs", Sets.longs([0, 2 ** 31, Number.MAX_SAFE_INTEGER, -5]), [0n, 2n ** 31n, 9_007_199_254_740_991n, -5n]],
  ["jsons", Sets.jsons([...oddJsons, null]), [...oddJsons, null]]
]

layer(TestDatabase.layer, { excludeTestServices: true })("a column of a set", (it) => {
  it.effect.each(columns)("of %s comes back as it was, odd values and nulls too", ([, column, values]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* back(column), values)
    })
  )

  it.effect("without values makes no rows", () =>
    Effect.gen(function* () {
      const empty = [
        Sets.uuids([]),
        Sets.texts([]),
        Sets.integers([]),
        Sets.booleans([]),
        Sets.longs([]),
        Sets.jsons([])
      ]
      assert.deepStrictEqual(
        yield* Effect.forEach(empty, back),
        empty.map(() => [])
      )
    })
  )

  it.effect("stands beside others, row by row", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const rows = yield* sql`
        SELECT * FROM unnest(${Sets.texts(["a", "b"])}, ${Sets.integers([1, null])}, ${Sets.booleans([null, true])})
          AS input (name, count, is_new)`
      assert.deepStrictEqual(rows, [
        { name: "a", count: 1, isNew: null },
        { name: "b", count: null, isNew: true }
      ])
    })
  )

  it.effect("holds any text that PostgreSQL can store, and any JSON", () =>
    Effect.gen(function* () {
      const run = Effect.runPromiseWith(yield* Effect.context<TestDatabase>())
      const text = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\u0000"))
      // Without escapes: Node 24's JSON.parse reads {"\\":1} and then {"\"":1} as the same member name.
      const json = fc
        .json()
        .filter((text) => !text.includes("\\"))
        .map((text): unknown => JSON.parse(text))
      const property = fc.asyncProperty(fc.array(text), fc.array(json), async (texts, jsons) => {
        assert.deepStrictEqual(await run(back(Sets.texts(texts))), texts)
        assert.deepStrictEqual(await run(back(Sets.jsons(jsons))), jsons)
      })
      yield* Effect.promise(() => fc.assert(property))
    })
  )

  it.effect("is decoded on its way back, and a row of another shape is a defect", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const rows = Sets.rowsOf(Schema.Struct({ id: Schema.String, count: Schema.BigInt }))
      assert.deepStrictEqual(yield* rows(sql`SELECT 'a' AS id, 1::bigint AS count`), [{ id: "a", count: 1n }])
      assert.deepStrictEqual(yield* rows(sql`SELECT 'a' AS id, 1::bigint AS count LIMIT 0`), [])
      for (const other of [
        sql`SELECT 'a' AS id`,
        sql`SELECT 'a' AS id, NULL AS count`,
        sql`SELECT 1 AS id, 1 AS count`
      ]) {
        const exit = yield* Effect.exit(rows(other))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause) && !Cause.hasFails(exit.cause))
      }
    })
  )

  it.effect("leaves a failure of its statement as it is", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const error = yield* Effect.flip(Sets.rowsOf(Schema.Struct({}))(sql`SELECT 1 / 0`))
      assert.strictEqual(error._tag, "SqlError")
    })
  )
})

describe("the outcomes of a set", () => {
  it.effect("of one are that one's success or failure", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Sets.one(Effect.succeed([Result.succeed(7)])), 7)
      assert.strictEqual(yield* Effect.flip(Sets.one(Effect.succeed([Result.fail("taken")]))), "taken")
      assert.strictEqual(yield* Effect.flip(Sets.one(Effect.fail("no database"))), "no database")
    })
  )

  it.effect("of none are nobody's: to take one of them is a defect", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Sets.one(Effect.succeed([])))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    })
  )

  it("that succeeded keep their order", () => {
    const outcomes = [Result.succeed(3), Result.fail("taken"), Result.succeed(1), Result.succeed(undefined)]
    assert.deepStrictEqual(Sets.successes(outcomes), [3, 1, undefined])
    assert.deepStrictEqual(Sets.successes([Result.fail("taken")]), [])
  })
})
