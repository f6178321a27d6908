/**
 * What a service is called inside PostgreSQL.
 */

/** `edge-api` keeps its tables in the schema `edge_api`. */
export const schemaOf = (service: string) => service.replaceAll("-", "_")

/** The prefix keeps us from taking over a role of somebody else's on a shared server. */
export const roleOf = (service: string) => `ecommerce_${schemaOf(service)}`

/** Not a service: whoever looks at the data of all of them, and changes nothing. */
export const auditor = "audit"
