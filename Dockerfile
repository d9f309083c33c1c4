# The image of the server, without what only the build and the tests need.
#
#   docker build -t leasehold .
#   docker run --rm -p 127.0.0.1:50051:50051 leasehold          (embedded: locks in memory, to try it out)
#
# docs/deployment.md says how to run it on Redis.

ARG NODE_IMAGE=node:24-bookworm-slim

# Install scripts stay off: no package needs one to work here, and the one of the development dependency "node" would
# download a second Node.js beside the image's own.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY scripts/build scripts/build
COPY generated generated
COPY src src
# Not through npm: it puts the packages' programs first on the PATH, and among them a "node" that isn't there.
# Nobody imports from the image.
RUN node scripts/build.ts && rm -r dist/cjs

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Declarations, source maps and manuals are half of the packages' weight, and nothing reads them here. Licences stay.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -type f ! -iname '*licen*' \
      \( -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.map' -o -name '*.md' \) -delete

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Leasehold" \
      org.opencontainers.image.description="Distributed locks and long-running operations over gRPC, on Redis Sentinel" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"

# Nothing outside a container reaches its loopback. What reaches these ports is decided where they are published.
ENV NODE_ENV=production \
    LEASEHOLD_SERVER_ADDRESS=0.0.0.0:50051 \
    LEASEHOLD_ADMIN_ADDRESS=0.0.0.0:9464

WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY deploy/healthcheck.mjs deploy/
COPY --from=build /app/dist dist

# The image's user "node", as numbers because Kubernetes (runAsNonRoot) accepts no name. The files belong to root, so
# the server cannot change its own program.
USER 1000:1000
EXPOSE 50051 9464
# One process uses one core and some 350 MB under load. LEASEHOLD_SERVER_WORKERS multiplies that and adds 100 MB for the
# supervisor, but several containers of one process each are easier to move and to restart.
# On SIGTERM it drains for up to server.drain_timeout (10 s). "docker stop" kills after 10 s unless told otherwise.
STOPSIGNAL SIGTERM
# This is liveness, not readiness: a server that waits for Redis is healthy, and a restart would not help.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["node", "deploy/healthcheck.mjs"]
# "docker run leasehold locks ls --server …" is the client in the same image.
ENTRYPOINT ["node", "dist/src/main.js"]
CMD ["serve"]
