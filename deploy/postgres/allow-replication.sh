#!/bin/sh
# Runs once, when the primary's data directory is created.
echo "host replication vehicles all scram-sha-256" >> "$PGDATA/pg_hba.conf"
