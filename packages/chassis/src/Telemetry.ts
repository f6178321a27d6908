/**
 * Traces, metrics and logs over OTLP. Every service has this layer in its place already; it exports nothing yet.
 */
import { Layer } from "effect"

export const layer = (_service: string): Layer.Layer<never> => Layer.empty
