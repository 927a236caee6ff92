#!/bin/bash
# Copies the primary at the first start, and then follows it. Nothing promotes it; see docs/operations.md.
set -euo pipefail
data=/var/lib/postgresql/data
export PGPASSWORD
PGPASSWORD=$(cat /run/secrets/database-password)
if [ ! -s "$data/PG_VERSION" ]; then
  pg_basebackup --host=postgres --username=vehicles --pgdata="$data" --write-recovery-conf --wal-method=stream \
    --checkpoint=fast
  chmod 700 "$data"
fi
exec postgres -D "$data" -c hot_standby=on
