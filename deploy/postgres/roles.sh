#!/bin/sh
# Runs once, when the database folder is new: makes the services' role and its database.
# The role is no superuser. The readers' role, which row-level security binds, would be made by migrations too; it is here
# so that a backup can be restored before they run.
set -eu

# The variables are psql's, quoted by psql: a password may hold any character.
psql --no-psqlrc --set ON_ERROR_STOP=1 --quiet --host /var/run/postgresql \
    --username "$POSTGRES_USER" --dbname postgres --set password="$TRIPOD_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE tripod LOGIN CREATEROLE BYPASSRLS PASSWORD :'password';
CREATE ROLE tripod_reader NOLOGIN;
GRANT tripod_reader TO tripod WITH ADMIN TRUE, INHERIT FALSE, SET TRUE;
CREATE DATABASE tripod OWNER tripod;
SQL
