# A throw-away authority and one server certificate for 127.0.0.1; sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

# Called by several parts at once: the first makes them, whole or not at all.
certificates() {
  local to=$dir/certificates
  (
    flock 8
    [ ! -e "$to/ca.pem" ] || exit 0
    local new=$to.new
    rm -rf "$new" "$to"
    mkdir -p "$new"
    {
      openssl req -x509 -newkey rsa:2048 -noenc -days 3650 -subj "/CN=penstock test authority" \
        -addext basicConstraints=critical,CA:TRUE -keyout "$new/ca-key.pem" -out "$new/ca.pem"
      openssl req -new -newkey rsa:2048 -noenc -subj /CN=localhost -keyout "$new/server-key.pem" -out "$new/server.csr"
      openssl x509 -req -in "$new/server.csr" -CA "$new/ca.pem" -CAkey "$new/ca-key.pem" -CAcreateserial -days 3650 \
        -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$new/server.pem"
    } >"$dir/logs/certificates.log" 2>&1 || fail "openssl made no certificates, see $dir/logs/certificates.log"
    # Kafka reads key and certificate from one file.
    cat "$new/server-key.pem" "$new/server.pem" >"$new/server-both.pem"
    # The password of the test users: SCRAM in Kafka, `penstock` in MariaDB.
    printf 'sluice-gate-7' >"$new/password"
    mv "$new" "$to"
  ) 8>"$dir/certificates.lock"
}

env_certificates() {
  echo "PENSTOCK_TEST_CA=$dir/certificates/ca.pem"
  echo "PENSTOCK_TEST_PASSWORD_FILE=$dir/certificates/password"
}
