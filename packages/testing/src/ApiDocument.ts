/**
 * A service's OpenAPI document as a test reads it: its operations, each with what it takes and what it may answer.
 */
import { Schema } from "effect"

/** The part of JSON Schema that the documents of this house are written in. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly allOf?: ReadonlyArray<JsonSchema>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly minProperties?: number
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
}

const optionalNumber = Schema.optionalKey(Schema.Number)

const JsonSchema: Schema.Codec<JsonSchema> = Schema.Struct({
  $ref: Schema.optionalKey(Schema.String),
  type: Schema.optionalKey(Schema.String),
  enum: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  anyOf: Schema.optionalKey(Schema.Array(Schema.suspend(() => JsonSchema))),
  allOf: Schema.optionalKey(Schema.Array(Schema.suspend(() => JsonSchema))),
  properties: Schema.optionalKey(
    Schema.Record(
      Schema.String,
      Schema.suspend(() => JsonSchema)
    )
  ),
  required: Schema.optionalKey(Schema.Array(Schema.String)),
  minProperties: optionalNumber,
  items: Schema.optionalKey(Schema.suspend(() => JsonSchema)),
  minItems: optionalNumber,
  maxItems: optionalNumber,
  minLength: optionalNumber,
  maxLength: optionalNumber,
  pattern: Schema.optionalKey(Schema.String),
  format: Schema.optionalKey(Schema.String),
  minimum: optionalNumber,
  maximum: optionalNumber,
  exclusiveMinimum: optionalNumber
})

export const Parameter = Schema.Struct({
  name: Schema.String,
  in: Schema.Literals(["path", "query", "header"]),
  required: Schema.Boolean,
  schema: JsonSchema
})
export type Parameter = typeof Parameter.Type

const Described = Schema.Struct({
  parameters: Schema.Array(Parameter),
  security: Schema.Array(Schema.Unknown),
  requestBody: Schema.optionalKey(
    Schema.Struct({ content: Schema.Record(Schema.String, Schema.Struct({ schema: JsonSchema })) })
  ),
  responses: Schema.Record(Schema.String, Schema.Unknown)
})

const Document = Schema.Struct({
  paths: Schema.Record(Schema.String, Schema.Record(Schema.String, Described)),
  components: Schema.Struct({ schemas: Schema.Record(Schema.String, JsonSchema) })
})
export type Document = typeof Document.Type

export const decode = Schema.decodeUnknownEffect(Document)

export interface Operation {
  readonly method: string
  readonly path: string
  readonly parameters: ReadonlyArray<Parameter>
  readonly body: JsonSchema | undefined
  readonly statuses: ReadonlyArray<number>
  readonly takesToken: boolean
}

export const nameOf = ({ method, path }: Operation) => `${method} ${path}`

export const operationsOf = ({ paths }: Document): ReadonlyArray<Operation> =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      method: method.toUpperCase(),
      path,
      parameters: described.parameters,
      body: described.requestBody?.content["application/json"]?.schema,
      statuses: Object.keys(described.responses).map(Number),
      takesToken: described.security.length > 0
    }))
  )
