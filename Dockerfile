# Image of the server and its commands, run by a user of its own.
#
#   docker build -t savannah .
#   docker run --rm -p 127.0.0.1:8000:8000 -v savannah:/shop/data savannah
#   docker run --rm -v savannah:/shop/data savannah user create --email you@example.com --role admin
#
# Without DATABASE_URL the database is an SQLite file in /shop/data.

# The browser files of GraphiQL. build.rs compares them with their checksums.
FROM node:22-slim AS graphiql
WORKDIR /graphiql
RUN npm pack --ignore-scripts --loglevel=error graphiql@4.1.2 react@18.3.1 react-dom@18.3.1 \
    && tar -xzf graphiql-4.1.2.tgz --strip-components=1 package/graphiql.min.js package/graphiql.min.css \
    && tar -xzf react-18.3.1.tgz --strip-components=2 package/umd/react.production.min.js \
    && tar -xzf react-dom-18.3.1.tgz --strip-components=2 package/umd/react-dom.production.min.js \
    && rm ./*.tgz

# The full image, because the TLS library and SQLite are written in C and need its compiler.
FROM rust:1.95-trixie AS chef
RUN cargo install --locked --version 0.1.78 cargo-chef
WORKDIR /build

# The recipe contains only the manifests and the lock file, so it changes only when dependencies do.
FROM chef AS recipe
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# The dependencies are a layer of their own: a change of the source code does not build them again.
COPY --from=recipe /build/recipe.json recipe.json
RUN cargo chef cook --profile dist --locked --no-default-features --package savannah --bin savannah \
    --recipe-path recipe.json
COPY . .
COPY --from=graphiql /graphiql /graphiql
ENV SAVANNAH_GRAPHIQL_DIR=/graphiql
RUN cargo build --profile dist --locked --no-default-features --package savannah --bin savannah \
    && cp target/dist/savannah /savannah

FROM debian:trixie-slim
# The certificate authorities, to verify OpenID Connect and payment providers, mail servers and webhook endpoints.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home --home-dir /shop --shell /usr/sbin/nologin shop \
    && mkdir -p /shop/data/media && chown -R shop:shop /shop/data
COPY --from=build /savannah /usr/local/bin/savannah
# By number, so that Kubernetes can verify that the user is not root.
USER 10001:10001
WORKDIR /shop
VOLUME /shop/data
# All addresses of the container. Those of the host are chosen when the port is published.
ENV BIND_ADDR=0.0.0.0:8000
# No introspection, demo data or test payments; `development` has to be set explicitly.
ENV SAVANNAH_SHOP__MODE=production
EXPOSE 8000
# The image has no HTTP client, but bash can open a connection. Not for `worker`, which does not listen, and not with
# server.tls_certificate: disable or replace it there.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["savannah"]
CMD ["serve"]
