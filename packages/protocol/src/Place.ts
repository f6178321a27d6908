/**
 * Where a service is found: its name in settings, logs and database roles, and the port it takes unless told otherwise.
 */
export interface Place {
  readonly name: string
  readonly port: number
}
