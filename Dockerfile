# One binary in a small image, run by a user of its own.
#
#   docker build -t savannah .
#   docker run --rm -p 127.0.0.1:8000:8000 -v savannah:/shop/data savannah
#   docker run --rm -v savannah:/shop/data savannah user create --email you@example.com --role admin
#
# Without DATABASE_URL the shop keeps an SQLite database in /shop/data.

# GraphiQL's browser files; the build checks each against the sum that build.rs pins.
FROM node:22-slim AS graphiql
WORKDIR /graphiql
RUN npm pack --ignore-scripts --loglevel=error graphiql@4.1.2 react@18.3.1 react-dom@18.3.1 \
    && tar -xzf graphiql-4.1.2.tgz --strip-components=1 package/graphiql.min.js package/graphiql.min.css \
    && tar -xzf react-18.3.1.tgz --strip-components=2 package/umd/react.production.min.js \
    && tar -xzf react-dom-18.3.1.tgz --strip-components=2 package/umd/react-dom.production.min.js \
    && rm ./*.tgz

# The full image, because the TLS library and SQLite are C and need its compiler.
FROM rust:1.95-trixie AS build
WORKDIR /build
COPY . .
COPY --from=graphiql /graphiql /graphiql
ENV SAVANNAH_GRAPHIQL_DIR=/graphiql
# Dependencies stay in the builder's cache, so a change of ours does not build them again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --profile dist --locked --no-default-features --bin savannah && cp target/dist/savannah /savannah

FROM debian:trixie-slim
# By these the shop knows the servers it asks: OpenID providers.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home --home-dir /shop --shell /usr/sbin/nologin shop \
    && mkdir /shop/data && chown shop:shop /shop/data
COPY --from=build /savannah /usr/local/bin/savannah
USER shop
WORKDIR /shop
VOLUME /shop/data
# Inside a container every address is the container's own; which one the world may use is said where it is run.
ENV BIND_ADDR=0.0.0.0:8000
# The schema, CORS and accounts of a shop that strangers can reach; `development` has to be asked for.
ENV SAVANNAH_SHOP__MODE=production
EXPOSE 8000
# The image has no HTTP client, but bash can speak to a port.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["savannah"]
CMD ["serve"]
