# Plain `make` lists the targets. The two that matter: `make demo` and `make test`.
# Everything is set up below .parts/ and target/; `make clean-parts` and `cargo clean` undo it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PARTS       := $(CURDIR)/.parts
CHDB        := $(PARTS)/chdb/libchdb.so
SERVERS     := $(foreach part,kafka hdfs registry s3,$(PARTS)/$(part)/.ready)
DENY_VER    := 0.20.2
DENY        := $(PARTS)/tools/bin/cargo-deny
VENV        := $(PARTS)/venv
PYTHON      := $(VENV)/bin/python
export PENSTOCK_LIBCHDB := $(CHDB)
# One target folder for everything that `make` builds.
export CARGO_TARGET_DIR ?= $(CURDIR)/target

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: tools engine-library web ## build, start everything, simulate half a minute, reconcile, stop (about 1 minute after the build)
	cargo build --release --locked -p penstock-cli
	@scripts/demo.sh "$(CARGO_TARGET_DIR)/release/penstock"

.PHONY: demo-cluster
demo-cluster: parts web ## the same on real servers, with a process for each of two sidecars, the consumers and the panel
	cargo build --release --locked -p penstock-cli --features cluster
	@scripts/demo-cluster.sh "$(CARGO_TARGET_DIR)/release/penstock"

.PHONY: up
up: tools engine-library web ## build and run everything in the foreground, data in ./data
	cargo build --release --locked -p penstock-cli
	"$(CARGO_TARGET_DIR)/release/penstock" up --data data

.PHONY: test
test: ## all tests, both profiles: checks, unit, property, real servers, end to end, kills, pages in a browser (the run that CI makes)
	@scripts/need.sh web-tests
	@$(MAKE) tools-cluster web
	# Fetching waits for the network while checking keeps the processors busy.
	@$(MAKE) parts & fetching=$$!; trap "kill $$fetching" INT TERM; checked=0; $(MAKE) check || checked=$$?; \
		wait $$fetching && exit $$checked
	# One feature set for all: this also builds target/debug/penstock, which the tests start.
	cargo test --locked --workspace --features cluster --no-run
	scripts/with-cluster.sh "$(PARTS)/test-cluster" "" cargo test --locked --workspace --features cluster --no-fail-fast
	@$(MAKE) test-web

.PHONY: faults
faults: parts ## thirty rounds of each fault on real servers: kills, hangs, outages, rebalances (hours)
	cargo test --locked --workspace --features cluster --no-run
	PENSTOCK_ROUNDS=$${PENSTOCK_ROUNDS:-30} cargo test --locked --workspace --features cluster --test fleet_faults -- --ignored --nocapture

.PHONY: test-fleet
test-fleet: parts ## one round of each fault through a fleet of processes on real servers (ten minutes)
	cargo test --locked --workspace --features cluster --no-run
	# With servers of its own, which it may hurt.
	cargo test --locked --workspace --features cluster --no-fail-fast --test fleet_faults -- --ignored --nocapture

.PHONY: test-quick
test-quick: tools ## the tests that need no outside parts (no engine, no Python packages)
	cargo test --locked --no-fail-fast -p penstock -p penstock-sidecar -p penstock-simulator

.PHONY: check
check: tools-cluster check-web $(DENY) alerts-check ## formatting, linters with warnings denied, types of the pages, licences and sources of dependencies, alerts
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --features cluster -- -D warnings
	# Without the feature, as `make demo` builds it.
	cargo clippy --locked -p penstock-cli -- -D warnings
	# Offline, it reads the manifests of every platform's dependencies.
	cargo fetch --locked --quiet
	$(DENY) --offline --log-level error check bans licenses sources

.PHONY: alerts-check
alerts-check: $(PARTS)/grafana/.ready ## Prometheus rules with their tests, runbooks, Grafana dashboards (promtool, Grafana's types)
	@scripts/need.sh alerts
	@scripts/alerts-check.sh "$(PARTS)/grafana"

$(PARTS)/grafana/.ready: parts/grafana/package-lock.json
	@scripts/need.sh
	@mkdir -p "$(@D)"
	@cp parts/grafana/package.json parts/grafana/package-lock.json "$(@D)"
	@npm ci --prefix "$(@D)" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && touch $@

# The panel's pages: built into the binary from panel/web/dist, again only when their sources change.
WEB         := panel/web
WEB_MODULES := $(WEB)/node_modules/.package-lock.json
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/index.html $(WEB)/vite.config.ts $(WEB)/tsconfig.json -type f 2>/dev/null)
.PHONY: web
web: $(WEB)/dist/index.html ## build the panel's web pages (npm ci, types, bundle)

$(WEB)/dist/index.html: $(WEB_MODULES) $(WEB_SOURCES)
	cd $(WEB) && npm run --silent build

$(WEB_MODULES): $(WEB)/package-lock.json
	@scripts/need.sh
	cd $(WEB) && npm ci --silent
	@touch $@

.PHONY: check-web
check-web: $(WEB_MODULES) ## types, linter, formatting and unit tests of the web pages
	cd $(WEB) && npm run --silent check

.PHONY: test-web
test-web: tools-cluster engine-library web ## the web pages in a real Chromium against a running system
	@scripts/need.sh web-tests
	# As `make test` builds it, so that nothing is built twice.
	cargo test --locked --workspace --features cluster --no-run --quiet
	cd $(WEB) && PENSTOCK_BINARY="$(CARGO_TARGET_DIR)/debug/penstock" npm run --silent test:browser

# Linters of deploy/, each by its own project's Go module.
DEPLOY_TOOLS := $(PARTS)/tools/deploy
.PHONY: deploy-check
deploy-check: $(DEPLOY_TOOLS)/.ready ## units, compose file and Helm chart by their own linters (needs Go and systemd; builds the linters once)
	cargo build --locked -p penstock-cli --features cluster
	@scripts/deploy-check.sh "$(DEPLOY_TOOLS)" "$(CARGO_TARGET_DIR)/debug/penstock"

$(DEPLOY_TOOLS)/.ready:
	@command -v go systemd-analyze >/dev/null || { echo "make: deploy-check needs go and systemd-analyze (packages golang, systemd)" >&2; exit 1; }
	@mkdir -p "$(@D)"
	GOBIN="$(@D)" GOFLAGS=-p=2 go install helm.sh/helm/v3/cmd/helm@v3.22.0
	GOBIN="$(@D)" GOFLAGS=-p=2 go install sigs.k8s.io/kubectl-validate@v0.0.4
	GOBIN="$(@D)" GOFLAGS=-p=2 go install github.com/compose-spec/compose-go/v2/cmd@v2.16.2
	@mv "$(@D)/cmd" "$(@D)/compose" && touch $@

.PHONY: capacity
capacity: ## machines, partitions, disks and money for 1, 20 and 100 billion events a day, from measured figures
	@scripts/capacity.py docs/capacity.json

.PHONY: capacity-measure
capacity-measure: parts web ## what an event costs each role and server, measured anew into docs/capacity.json (release build, ten minutes)
	$(RELEASE) --bin penstock
	DEMO_CAPACITY=docs/capacity.json DEMO_PARTITIONS=6 DEMO_RATE=$${DEMO_RATE:-10000} DEMO_SECONDS=$${DEMO_SECONDS:-40} scripts/demo-cluster.sh "$(OUT)/penstock"

.PHONY: advisories
advisories: $(DENY) ## known vulnerabilities in dependencies (needs the advisory database: network)
	$(DENY) check advisories

# All benchmarks share one set of features, so that nothing is built twice; building takes longer than measuring.
RELEASE := cargo build --release --locked --workspace --features cluster
BENCH   := cargo bench --locked --workspace --features cluster
RTEST   := cargo test --release --locked --workspace --features cluster
OUT     := $(CARGO_TARGET_DIR)/release

.PHONY: bench
bench: tools-cluster ## criterion benchmarks of the hot path, as ratios in one run
	$(BENCH) --bench hot_path

.PHONY: bench-sidecar
bench-sidecar: parts web ## events per CPU-second from JSON in to acknowledged by Kafka, beside a bare actix-web; a minute without brokers
	@command -v wrk >/dev/null || { echo "make: 'wrk' is missing: install wrk" >&2; exit 1; }
	$(RELEASE) --bin penstock --example bare
	BENCH_CLUSTER="$(CURDIR)/scripts/cluster $(PARTS)/bench-cluster" scripts/with-cluster.sh "$(PARTS)/bench-cluster" kafka \
		scripts/bench-sidecar.py "$(OUT)/penstock" "$(OUT)/examples/bare" --rate --outage

.PHONY: bench-cluster
bench-cluster: parts ## the way to Kafka, to ClickHouse, to MariaDB and to the archive, each beside a yardstick in the same run
	$(RELEASE) --example ledger_speed
	$(RTEST) --test statistics --no-run
	$(BENCH) --bench archive
	scripts/with-cluster.sh "$(PARTS)/bench-cluster" "kafka mariadb" $(MAKE) bench-cluster-run

.PHONY: bench-cluster-run
bench-cluster-run:
	$(BENCH) --bench forward
	"$(OUT)/examples/ledger_speed"
	@# Memory as cli/src/memory.rs sets it for the program.
	GLIBC_TUNABLES=glibc.malloc.trim_threshold=67108864:glibc.malloc.mmap_threshold=33554432 \
		$(RTEST) --test statistics -- --ignored --nocapture speed

.PHONY: bench-stop
bench-stop: parts web ## from the exhausting event's acknowledgement to serving:false under load, on one machine and across processes
	$(RELEASE) --bin penstock
	scripts/with-cluster.sh "$(PARTS)/bench-cluster" "" \
		$(RTEST) --test budget_stop --test fleet_budget_stop -- --nocapture --test-threads=1

.PHONY: bench-viewers
bench-viewers: parts web ## 200 people in front of the panel while 5 000 events a second come in: answers of the sidecar and of the panel
	$(RELEASE) --bin penstock --example viewers
	@scripts/bench-viewers.sh "$(OUT)/penstock" "$(OUT)/examples/viewers"

.PHONY: parts
parts: tools-cluster engine-library python $(SERVERS) ## fetch the outside parts that tests need (ClickHouse, Kafka, HDFS, registry, S3, MariaDB), and verify them
	@mariadbd --version >/dev/null || /usr/sbin/mariadbd --version >/dev/null

.PHONY: tools
tools: ## check that the compilers and clients are there, install what can be, name what cannot
	@scripts/need.sh

.PHONY: tools-cluster
tools-cluster: ## the same with what the cluster profile needs: Java, Maven, MariaDB, librdkafka's tools
	@scripts/need.sh cluster

$(PARTS)/s3/.ready: parts/s3/requirements.txt scripts/fetch-s3.sh
	@scripts/need.sh
	@scripts/fetch-s3.sh "$(@D)"

$(PARTS)/%/.ready: parts/%/pom.xml scripts/fetch-%.sh scripts/fetch-maven.sh
	@scripts/need.sh cluster
	@scripts/fetch-$*.sh "$(@D)"

.PHONY: cluster
cluster: parts web ## three Kafka brokers, MariaDB, HDFS, registry, S3 and the ClickHouse engine below .parts/cluster; prints the addresses
	cargo build --locked -p penstock-cli --features cluster
	@PENSTOCK_BINARY="$(CARGO_TARGET_DIR)/debug/penstock" scripts/cluster up "$(PARTS)/cluster" kafka mariadb hdfs registry s3 engine

.PHONY: cluster-down
cluster-down: ## stop them, by process id; their data stays
	@scripts/cluster down "$(PARTS)/cluster"

.PHONY: engine-library
engine-library: $(CHDB) ## the ClickHouse engine (libchdb.so, 566 MB) through npm, checked that it loads

$(CHDB): parts/chdb/package-lock.json scripts/fetch-chdb.sh
	@scripts/need.sh
	@scripts/fetch-chdb.sh "$(PARTS)/chdb"

.PHONY: python
python: $(VENV)/.ready ## Python's fastavro, PyMySQL and schemathesis, the tests' oracles

$(VENV)/.ready: tests/oracle/requirements.txt
	@scripts/need.sh
	@python3 -m venv "$(VENV)" || { echo "make: python3 cannot make a virtual environment: install the package python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m pip install --quiet --disable-pip-version-check -r tests/oracle/requirements.txt
	@"$(PYTHON)" -c 'import fastavro, pymysql, schemathesis' && touch $@

$(DENY):
	@scripts/need.sh
	CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --debug --locked --root "$(PARTS)/tools" --target-dir "$(PARTS)/tools/build" cargo-deny@$(DENY_VER)
	@rm -rf "$(PARTS)/tools/build"

.PHONY: clean-parts
clean-parts: ## remove the fetched parts, and stop what runs on them
	@for dir in "$(PARTS)"/*cluster; do [ ! -d "$$dir" ] || scripts/cluster down "$$dir" --now; done
	rm -rf "$(PARTS)"
