#!/usr/bin/env bash
# Fetches libchdb.so (the ClickHouse engine) with npm into the folder given, by the version and
# checksum of parts/chdb/package-lock.json, and checks that it loads and answers a query's symbol.
set -euo pipefail
target=$1
here=$(cd "$(dirname "$0")/.." && pwd)

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) ;;
  *) echo "make: libchdb is fetched for Linux on x86-64 only; put libchdb.so for $(uname -sm) into $target" >&2; exit 1 ;;
esac

mkdir -p "$target"
cp "$here/parts/chdb/package.json" "$here/parts/chdb/package-lock.json" "$target/"
echo "fetching the ClickHouse engine (166 MB)" >&2
if ! npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --loglevel=error >&2; then
  echo "make: npm could not fetch the package @chdb/lib-linux-x64-gnu" >&2
  exit 1
fi
ln -sfn node_modules/@chdb/lib-linux-x64-gnu/libchdb.so "$target/libchdb.so"
python3 - "$target/libchdb.so" <<'P'
import ctypes, sys
try:
    library = ctypes.CDLL(sys.argv[1])
    library.chdb_connect, library.chdb_query_n, library.chdb_stream_insert_n
except (OSError, AttributeError) as error:
    sys.exit(f"make: {sys.argv[1]} was fetched but does not load: {error}")
P
touch "$target/libchdb.so"
echo "the ClickHouse engine is in $target" >&2
