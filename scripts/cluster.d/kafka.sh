# Three Kafka brokers that are their own controllers (KRaft); sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

kafka_config() {
  local n=$1 at=$dir/kafka/$1 certs=$dir/certificates
  cat <<CONFIG
process.roles=broker,controller
node.id=$n
controller.quorum.voters=1@127.0.0.1:$(port controller1),2@127.0.0.1:$(port controller2),3@127.0.0.1:$(port controller3)
listeners=PLAIN://127.0.0.1:$(port "kafka$n"),LOGIN://127.0.0.1:$(port "sasl$n"),SECURE://127.0.0.1:$(port "tls$n"),CONTROLLER://127.0.0.1:$(port "controller$n")
listener.security.protocol.map=PLAIN:PLAINTEXT,LOGIN:SASL_PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
advertised.listeners=PLAIN://127.0.0.1:$(port "kafka$n"),LOGIN://127.0.0.1:$(port "sasl$n"),SECURE://127.0.0.1:$(port "tls$n")
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.login.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$certs/server-both.pem
log.dirs=$at/data
# What a fleet has, and the promises of an acknowledgement rest on.
default.replication.factor=3
min.insync.replicas=2
unclean.leader.election.enable=false
auto.create.topics.enable=false
offsets.topic.replication.factor=3
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
# Small and quick: tests kill brokers and consumers and wait for what follows.
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=6000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
metadata.log.segment.bytes=8388608
# Three that start together on a busy machine may need more than the usual minute to find each other.
initial.broker.registration.timeout.ms=110000
CONFIG
}

# start_kafka NUMBER…: formats what is new, starts, waits for all of them.
start_kafka() {
  need_part kafka/lib
  certificates
  local n config starting=()
  # No dash: one at the front would be taken for an option.
  [ -s "$dir/kafka.id" ] || head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=\n' >"$dir/kafka.id"
  for n; do
    if alive "kafka$n"; then continue; fi
    mkdir -p "$dir/kafka/$n"
    config=$dir/kafka/$n/server.properties
    kafka_config "$n" >"$config"
    (
      if [ ! -e "$dir/kafka/$n/data/meta.properties" ]; then
        password=$(cat "$dir/certificates/password")
        java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$parts/kafka/lib/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
          kafka.tools.StorageTool format -t "$(cat "$dir/kafka.id")" -c "$config" \
          --add-scram "SCRAM-SHA-256=[name=penstock,password=$password]" \
          --add-scram "SCRAM-SHA-512=[name=penstock,password=$password]" >"$dir/logs/kafka$n-format.log" 2>&1 ||
          { tell "kafka$n-format"; fail "the storage of kafka$n cannot be formatted"; }
      fi
      mark "kafka$n"
      run "kafka$n" java -Xms64m -Xmx384m -XX:+UseSerialGC -cp "$parts/kafka/lib/*" \
        -Dorg.slf4j.simpleLogger.showDateTime=true "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS" \
        -Dorg.slf4j.simpleLogger.showShortLogName=true \
        kafka.Kafka "$config"
    ) &
    starting+=($!)
  done
  for n in "${starting[@]}"; do wait "$n" || exit 1; done
  # A single broker without a quorum waits for the others, and so cannot be waited for.
  if [ "$(running | grep -c '^kafka[123]$')" -ge 2 ]; then
    for n; do await "kafka$n" 120 logged "kafka$n" "Kafka Server started"; done
  fi
}

env_kafka() {
  local list
  for list in kafka sasl tls; do
    local name=PENSTOCK_TEST_KAFKA
    case "$list" in sasl) name+=_SASL ;; tls) name+=_TLS ;; esac
    echo "$name=127.0.0.1:$(port "${list}1"),127.0.0.1:$(port "${list}2"),127.0.0.1:$(port "${list}3")"
  done
}
