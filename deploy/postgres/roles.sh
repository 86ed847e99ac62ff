#!/bin/sh
# Runs once, when the database folder is new: makes the services' role and its database.
# The role is no superuser, so that row-level security binds it; migrations make the readers' role, hence CREATEROLE.
set -eu

# The variables are psql's, quoted by psql: a password may hold any character.
psql --no-psqlrc --set ON_ERROR_STOP=1 --quiet --host /var/run/postgresql \
    --username "$POSTGRES_USER" --dbname postgres --set password="$TRIPOD_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE tripod LOGIN CREATEROLE BYPASSRLS PASSWORD :'password';
CREATE DATABASE tripod OWNER tripod;
SQL
