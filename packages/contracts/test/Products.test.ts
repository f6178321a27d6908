import { NewProduct, Product, ProductChange, productsGroup } from "@ecommerce/contracts/Inventory/Products"
import { Validation } from "@ecommerce/protocol/Validation"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, OpenApi } from "effect/http-api"

const decode = (schema: Schema.Codec<unknown, unknown>, value: unknown) => Schema.decodeUnknownExit(schema)(value)

const mouse = { name: "Wireless Mouse", sku: "MOUSE-001", priceCents: 2999, initialStock: 5 }
const letters = (count: number) => "a".repeat(count)

describe("a new product", () => {
  it.each([
    ["a name of one character", { name: "a" }],
    ["a name of 255 characters", { name: letters(255) }],
    ["a name in any script", { name: "Müşteri 鼠标 🐁" }],
    ["a SKU of one character", { sku: "a" }],
    ["a SKU of 100 characters", { sku: letters(100) }],
    ["a SKU of letters, digits, dots, underscores and hyphens", { sku: "Aa0._-" }],
    ["the price of one cent", { priceCents: 1 }],
    ["the highest price that an integer can hold", { priceCents: 2_147_483_647 }],
    ["no stock", { initialStock: 0 }],
    ["the largest stock that an integer can hold", { initialStock: 2_147_483_647 }]
  ])("may have %s", (_, part) => {
    assert.deepStrictEqual(decode(NewProduct, { ...mouse, ...part }), Exit.succeed({ ...mouse, ...part }))
  })

  it.each([
    ["an empty name", { name: "" }],
    ["a name of 256 characters", { name: letters(256) }],
    ["a name with NUL", { name: "a\u0000b" }],
    ["a name with half a surrogate pair", { name: "a\ud800b" }],
    ["an empty SKU", { sku: "" }],
    ["a SKU of 101 characters", { sku: letters(101) }],
    ["a SKU with a space", { sku: "MOUSE 001" }],
    ["a SKU with a slash", { sku: "MOUSE/001" }],
    ["a SKU with a letter beyond ASCII", { sku: "MÖUSE" }],
    ["a SKU that ends its line", { sku: "MOUSE-001\n" }],
    ["the price of nothing", { priceCents: 0 }],
    ["a price below nothing", { priceCents: -1 }],
    ["a price above the highest", { priceCents: 2_147_483_648 }],
    ["a price in parts of cents", { priceCents: 29.99 }],
    ["a price in words", { priceCents: "2999" }],
    ["stock below nothing", { initialStock: -1 }],
    ["stock above the largest", { initialStock: 2_147_483_648 }],
    ["null for stock", { initialStock: null }]
  ])("may not have %s", (_, part) => {
    assert.isTrue(Exit.isFailure(decode(NewProduct, { ...mouse, ...part })))
  })

  it("has no stock unless told", () => {
    const { initialStock: _, ...withoutStock } = mouse
    assert.deepStrictEqual(decode(NewProduct, withoutStock), Exit.succeed({ ...mouse, initialStock: 0 }))
  })

  it.each(["name", "sku", "priceCents"])("needs its %s", (field) => {
    const others = Object.fromEntries(Object.entries(mouse).filter(([key]) => key !== field))
    assert.isTrue(Exit.isFailure(decode(NewProduct, others)))
  })
})

describe("a change of a product", () => {
  it.each([{ name: "Mouse" }, { priceCents: 1 }, { active: false }, { name: "Mouse", priceCents: 1, active: true }])(
    "may be %o",
    (change) => {
      assert.deepStrictEqual(decode(ProductChange, change), Exit.succeed(change))
    }
  )

  it.each([{}, { name: "" }, { priceCents: 0 }, { active: "yes" }, { name: undefined }, { priceCents: null }])(
    "may not be %o",
    (change) => {
      assert.isTrue(Exit.isFailure(decode(ProductChange, change)))
    }
  )
})

/** The inventory of a test: it has whatever product it is asked for, and can do nothing else. */
/** The catalogue alone: what is asked of it here needs no other handlers. */
class CatalogueApi extends HttpApi.make("catalogue").add(productsGroup).middleware(Validation) {}

const handlers = HttpApiBuilder.group(CatalogueApi, "products", (handlers) =>
  handlers.handleAll({
    create: () => Effect.die("not asked for here"),
    change: () => Effect.die("not asked for here"),
    get: () => Effect.die("not asked for here"),
    list: ({ query }) =>
      Effect.succeed({
        products: (query.ids ?? []).map((id) =>
          Product.make({
            id,
            name: "Mouse",
            sku: "MOUSE",
            priceCents: 1,
            stockQuantity: 0,
            active: true,
            version: 1,
            createdAt: DateTime.makeUnsafe("2026-01-02T03:04:05.000Z")
          })
        ),
        nextCursor: null
      })
  })
)

const askFor = Effect.fn(function* (query: string) {
  const { dispose, handler } = HttpRouter.toWebHandler(
    HttpApiBuilder.layer(CatalogueApi).pipe(
      Layer.provide(handlers),
      Layer.provide([Validation.layer, HttpServer.layerServices])
    ),
    { disableLogger: true }
  )
  yield* Effect.addFinalizer(() => Effect.promise(dispose))
  const answer = yield* Effect.promise(() => handler(new Request(`http://inventory.test/products?${query}`)))
  const body: unknown = yield* Effect.promise(() => answer.json())
  return { status: answer.status, body }
})

const idOf = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, "0")}`
const ids = (count: number) => Array.from({ length: count }, (_, number) => idOf(number))

describe("?ids=", () => {
  it.effect.each([1, 2, 100])("asks for %d products, separated by commas", (count) =>
    Effect.gen(function* () {
      const answer = yield* askFor(`ids=${ids(count).join(",")}`)
      assert.strictEqual(answer.status, 200)
      assert.containSubset(answer.body, { products: ids(count).map((id) => ({ id })) })
    })
  )

  it.effect("understands commas that a client has escaped, and capital letters", () =>
    Effect.gen(function* () {
      const id = "01a1fd3d-51e8-7bff-b746-d089b67cdc6b"
      const answer = yield* askFor(`ids=${encodeURIComponent(`${id.toUpperCase()},${idOf(1)}`)}`)
      assert.containSubset(answer.body, { products: [{ id }, { id: idOf(1) }] })
    })
  )

  it.effect.each([
    ["of more than 100", `ids=${ids(101).join(",")}`, "ids"],
    ["of none", "ids=", "ids"],
    ["with a gap", `ids=${idOf(1)},,${idOf(2)}`, "ids.1"],
    ["with a comma at its end", `ids=${idOf(1)},`, "ids.1"],
    ["with something else in it", `ids=${idOf(1)},${idOf(2)},mouse`, "ids.2"]
  ] as const)("refuses a list %s, and names the place", ([, query, field]) =>
    Effect.gen(function* () {
      const answer = yield* askFor(query)
      assert.strictEqual(answer.status, 400)
      assert.containSubset(answer.body, { error: "validation_failed", errors: [{ in: "query", field }] })
    })
  )
})

describe("the OpenAPI document", () => {
  const Reference = Schema.Struct({ $ref: Schema.String })
  const Content = Schema.Struct({
    schema: Schema.Union([Reference, Schema.Struct({ anyOf: Schema.Array(Reference) })])
  })
  const Operation = Schema.Struct({
    responses: Schema.Record(Schema.String, Schema.Struct({ content: Schema.Record(Schema.String, Content) }))
  })
  const Described = Schema.Struct({
    properties: Schema.Struct({
      error: Schema.optionalKey(Schema.Struct({ enum: Schema.Array(Schema.String) }))
    })
  })
  const Document = Schema.Struct({
    paths: Schema.Record(Schema.String, Schema.Record(Schema.String, Operation)),
    components: Schema.Struct({ schemas: Schema.Record(Schema.String, Described) })
  })
  const document = Schema.decodeUnknownSync(Document)(OpenApi.fromApi(CatalogueApi))

  /** What a response says of itself: its status, its content type, and the error codes of its schema. */
  const responsesOf = (method: string, path: string) =>
    Object.entries(document.paths[path]?.[method]?.responses ?? {}).flatMap(([status, { content }]) =>
      Object.entries(content).map(([contentType, { schema }]) => {
        const codes = ("anyOf" in schema ? schema.anyOf : [schema]).flatMap(
          ({ $ref }) =>
            document.components.schemas[$ref.replace("#/components/schemas/", "")]?.properties.error?.enum ?? []
        )
        return [status, contentType, ...codes].join(" ")
      })
    )

  const badRequest = "400 application/problem+json validation_failed"
  const outOfRange = "422 application/problem+json number_out_of_range"
  const notFound = "404 application/problem+json product_not_found"

  it.each([
    [
      "post",
      "/products",
      ["201 application/json", badRequest, "409 application/problem+json duplicate_sku", outOfRange]
    ],
    ["get", "/products", ["200 application/json", badRequest, outOfRange]],
    ["get", "/products/{id}", ["200 application/json", badRequest, notFound, outOfRange]],
    ["patch", "/products/{id}", ["200 application/json", badRequest, notFound, outOfRange]]
  ])("tells every answer of %s %s, problems as problem+json with their codes", (method, path, expected) => {
    const always = [
      "413 application/problem+json body_too_large",
      "415 application/problem+json unsupported_media_type",
      "500 application/problem+json internal_error",
      "503 application/problem+json unavailable overloaded"
    ]
    assert.sameMembers(responsesOf(method, path), [...expected, ...always])
  })

  it("leaves no endpoint out of the list above", () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`)
    )
    assert.sameMembers(operations, ["post /products", "get /products", "get /products/{id}", "patch /products/{id}"])
  })
})
