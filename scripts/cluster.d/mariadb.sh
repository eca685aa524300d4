# MariaDB: root without a password, `penstock` with the test password, `penstock_tls` the same but
# only over TLS; sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

start_mariadb() {
  if alive mariadb; then return; fi
  command -v mariadbd >/dev/null || fail "mariadbd is missing: install the package mariadb-server"
  certificates
  local at=$dir/mariadb as=() socket
  [ "$(id -u)" != 0 ] || as=(--user=root)
  if [ ! -e "$at/data/.ready" ]; then
    rm -rf "$at"
    mkdir -p "$at"
    mariadb-install-db --no-defaults "${as[@]}" --datadir="$at/data" --auth-root-authentication-method=normal \
      --skip-test-db >"$dir/logs/mariadb-install.log" 2>&1 </dev/null ||
      { tell mariadb-install; fail "MariaDB's folder cannot be made"; }
    touch "$at/data/.ready"
  fi
  local password
  password=$(cat "$dir/certificates/password")
  cat >"$at/users.sql" <<SQL
CREATE USER IF NOT EXISTS 'penstock'@'%' IDENTIFIED BY '$password';
CREATE USER IF NOT EXISTS 'penstock_tls'@'%' IDENTIFIED BY '$password' REQUIRE SSL;
GRANT ALL ON *.* TO 'penstock'@'%';
GRANT ALL ON *.* TO 'penstock_tls'@'%';
SQL
  # The path of a Unix socket has at most 107 bytes; clients come over TCP anyway.
  socket=$at/mariadb.sock
  [ ${#socket} -lt 100 ] || socket=$(mktemp -u "${TMPDIR:-/tmp}/penstock-mariadb-XXXXXXXX.sock")
  run mariadb mariadbd --no-defaults "${as[@]}" --datadir="$at/data" --socket="$socket" --pid-file="$at/pid" \
    --bind-address=127.0.0.1 --port="$(port mariadb)" --skip-name-resolve --init-file="$at/users.sql" \
    --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=96M --innodb-log-file-size=48M \
    --performance-schema=OFF --max-connections=400 --key-buffer-size=1M --aria-pagecache-buffer-size=8M \
    --ssl-ca="$dir/certificates/ca.pem" --ssl-cert="$dir/certificates/server.pem" --ssl-key="$dir/certificates/server-key.pem"
  await mariadb 60 mariadb-admin --no-defaults --protocol=tcp --host=127.0.0.1 --port="$(port mariadb)" --user=root \
    --skip-ssl --connect-timeout=2 --silent ping >/dev/null
}

env_mariadb() {
  echo "PENSTOCK_TEST_MARIADB=mysql://root@127.0.0.1:$(port mariadb)"
  echo "PENSTOCK_TEST_MARIADB_LOGIN=mysql://penstock@127.0.0.1:$(port mariadb)"
  echo "PENSTOCK_TEST_MARIADB_TLS=mysql://penstock_tls@127.0.0.1:$(port mariadb)"
}
