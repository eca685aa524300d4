#!/usr/bin/env bash
# Installs the S3 server of the tests into a virtual environment and checks that it starts.
set -euo pipefail
target=$1
here=$(cd "$(dirname "$0")/.." && pwd)
echo "fetching the S3 server of the tests" >&2
rm -rf "$target"
python3 -m venv "$target" || { echo "make: python3 cannot make a virtual environment: install the package python3-venv" >&2; exit 1; }
if ! "$target/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/parts/s3/requirements.txt" >&2; then
  echo "make: pip could not install parts/s3/requirements.txt" >&2
  exit 1
fi
"$target/bin/moto_server" --help >/dev/null || { echo "make: $target/bin/moto_server does not run" >&2; exit 1; }
touch "$target/.ready"
echo "the S3 server is in $target" >&2
