#!/usr/bin/env bash
# check-rest.sh SAVANNAH BIN SCRATCH: starts a server with the demo data, validates its OpenAPI document, and runs
# Schemathesis against it. BIN has the programs of Python, SCRATCH is a directory for files.
set -euo pipefail
readonly savannah=$1 bin=$2 scratch=$3/rest
readonly email=rest@example.com password=correct-horse-battery-staple
readonly configuration=$PWD/.ci/schemathesis.toml
mkdir -p "$scratch"
export DATABASE_URL=sqlite://$scratch/rest.db RUST_LOG=warn BIND_ADDR=127.0.0.1:0
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
# What is tested are the answers, not the limits of guests.
export SAVANNAH_THROTTLE__ORDERS_PER_IP=1000000/1h SAVANNAH_THROTTLE__CART_CHANGES_PER_IP=1000000/1h
export SAVANNAH_THROTTLE__IDEMPOTENCY_KEYS_PER_CALLER=1000000/1h

(cd "$scratch" && exec "$savannah" >"$scratch/stdout" 2>"$scratch/stderr") &
readonly server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
address=
for _ in $(seq 300); do
  address=$(grep -oE 'http://127\.0\.0\.1:[0-9]+' "$scratch/stdout" | head -n 1 || true)
  [[ -z $address ]] || break
  kill -0 "$server" || { cat "$scratch/stderr"; exit 1; }
  sleep 0.2
done
[[ -n $address ]] || { echo "the server did not start"; cat "$scratch/stderr"; exit 1; }
(cd "$scratch" && "$savannah" user create --email "$email" --role admin --password-stdin <<<"$password" >/dev/null)
token=$(curl -sf "$address/graphql" -H 'Content-Type: application/json' -d '{"query":
  "mutation { login(input: { email: \"'"$email"'\", password: \"'"$password"'\" }) { tokens { accessToken } } }"}' |
  grep -oE '"accessToken":"[^"]*"' | cut -d '"' -f 4)
[[ -n $token ]] || { echo "the administrator could not log in"; exit 1; }

curl -sf "$address/api/openapi.json" >"$scratch/openapi.json"
"$bin/openapi-spec-validator" "$scratch/openapi.json"
(cd "$scratch" && SAVANNAH_TOKEN=$token "$bin/schemathesis" --config-file "$configuration" \
  run "$address/api/openapi.json" --url "$address/api/v1")
if grep -E '"level":"ERROR"| ERROR ' "$scratch/stderr"; then
  echo "the server has logged errors"
  exit 1
fi
