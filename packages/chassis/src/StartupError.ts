/**
 * What keeps a process from starting, in one sentence for the person who started it.
 *
 * Whoever runs a program prints the sentence and ends with a non-zero exit code. A stack trace would
 * only hide it: nothing is wrong with the program.
 */
import { Schema } from "effect"

export class StartupError extends Schema.TaggedError<StartupError>()("StartupError", {
  message: Schema.String
}) {}
