# One image a service: `docker build --build-arg SERVICE=inventory .`. What all of them have in common (the runtime, the
# dependencies, the packages) are the same layers in each, so that five services are hardly bigger than one.

# Manifests alone, so that the dependencies are installed again when they change, and not when code does. Without what is for
# development: npm would take in what the tests' packages need, because they are workspaces.
FROM node:24-bookworm-slim AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages packages
COPY services services
RUN find packages services -type f ! -name package.json -delete \
  && npm pkg delete devDependencies --workspaces --include-workspace-root

# What runs in production: no tools, no tests, no embedded PostgreSQL; and nothing that only editors and debuggers read.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY --from=manifests /app ./
RUN --mount=type=cache,target=/root/.npm \
  npm ci --omit=dev --omit=optional --workspace=services --workspace=packages/audit
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete \
  && rm -rf node_modules/effect/src node_modules/@effect/*/src

FROM node:24-bookworm-slim AS program
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY migrations migrations
COPY packages packages
USER node

# What operators run: `npm run migrate`, `npm run audit` and the like.
FROM program AS operations
CMD ["node", "packages/stack/src/migrate.ts"]

FROM program AS service
ARG SERVICE
COPY services/${SERVICE} services/${SERVICE}
WORKDIR /app/services/${SERVICE}
CMD ["node", "src/main.ts"]
