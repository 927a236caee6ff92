#!/usr/bin/env bash
# bash with curl. Beside a running service:
#   examples/curl.sh
set -euo pipefail

address=${ADDRESS:-http://127.0.0.1:8080}

# Calls a path within so many seconds, with the token, and writes the answer to a file. curl repeats what fails for a while
# only, such as with 429 or 503, after the answer's Retry-After. Prints nothing; fails when the service answers with an error.
call() {
  local seconds=$1 file=$2 path=$3
  shift 3
  curl --silent --show-error --fail-with-body --max-time "$seconds" --retry 4 --retry-max-time "$seconds" \
    --oauth2-bearer "${TOKEN:-}" --output "$file" "$@" "$address$path"
}

look_up() {
  call 5 "$1" /vehicle.v1.VehicleService/Lookup --json "{\"vin\": \"$2\"}" --header 'connect-timeout-ms: 5000'
}

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# One VIN, within 5 s.
look_up "$answer" 1XPWD40X1ED215307
echo "Lookup: $(cat "$answer")"

# A malformed VIN: the details of the error say what is wrong with it.
if ! look_up "$answer" 1XPWD40X1ED2153O7 2>/dev/null; then
  echo "Lookup failed: $(cat "$answer")"
fi

# Many VINs, as a table. One bad VIN does not affect the others.
printf 'vin\n1XPWD40X1ED215307\n1XPWD40X1ED2153O7\n1XKWDB0X57J211825\n' >vins.csv
call 60 decoded.csv '/decode?columns=make,model' --data-binary @vins.csv
cat decoded.csv

# The whole cache as a Parquet file.
call 600 vehicles.parquet /export.parquet
echo "Export: $(wc -c <vehicles.parquet) bytes"
