#!/bin/sh
# Makes the bucket, and one key for each service that can do to it what that service does and nothing else.
# Running it again changes nothing, or sets a changed secret. With arguments it runs `mc` with them instead.
set -eu

store() { mc --quiet --no-color "$@" >/dev/null; }

store alias set store "$TRIPOD_S3_ENDPOINT" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
[ $# -eq 0 ] || exec mc --quiet --no-color "$@"
store mb --ignore-existing store/tripod

key() { # service, secret
    store admin policy create store "tripod-$1" "/policies/$1.json"
    store admin user add store "tripod-$1" "$2"
    # Attaching what is attached already is an error to this tool; detaching first would shut a running service out.
    said=$(mc --quiet --no-color admin policy attach store "tripod-$1" --user "tripod-$1" 2>&1) || case $said in
        *"already in effect"*) ;;
        *) echo "$said" >&2; exit 1 ;;
    esac
}
key ingest "$TRIPOD_S3_INGEST_SECRET"
key processor "$TRIPOD_S3_PROCESSOR_SECRET"
key catalog "$TRIPOD_S3_CATALOG_SECRET"
echo "the bucket and the keys of ingest, processor and catalog are there"
