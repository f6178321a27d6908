// `node packages/chassis/probe.mjs 3001`: ends with 0 where the service at this port of this machine can do its work.
//
// A container's health check runs every few seconds, so it loads nothing: 40 ms, where Effect alone would take ten times that.
import { get } from "node:http"

const request = get({ host: "127.0.0.1", port: process.argv[2], path: "/health/ready", timeout: 4000 }, (response) => {
  response.setEncoding("utf8").on("data", (text) => response.statusCode === 200 || process.stdout.write(text))
  response.on("end", () => process.exit(response.statusCode === 200 ? 0 : 1))
})
request.on("timeout", () => request.destroy(new Error("no answer")))
request.on("error", ({ message }) => {
  process.stdout.write(message)
  process.exit(1)
})
