# What people guess: run, test, check, bench, generate, fmt. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Build output lies outside the checkout, so that a fresh clone does not compile the world again.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/healthcare-stack
export CARGO_TARGET_DIR ?= $(CACHE)/target
export CARGO_TERM_COLOR ?= auto

STACK ?= manifests/samples/healthcarestack.yaml
DATA ?= data
COMPOSE ?= docker compose
LISTEN ?= 127.0.0.1:8080
ADMIN_LISTEN ?= 127.0.0.1:9464

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: run
run: ## Start the sample stack (STACK=file, DATA=dir, LISTEN=addr, DEMO=1 for an invented clinic)
	cargo build --release --package local
	exec "$(CARGO_TARGET_DIR)/release/healthcare" up --stack "$(STACK)" --data-dir "$(DATA)" \
		--listen "$(LISTEN)" --admin-listen "$(ADMIN_LISTEN)" $(if $(DEMO),--demo)

.PHONY: test
test: check ## Everything: check, then every test, on SQLite, on PostgreSQL, and on a real Kubernetes
	scripts/prepare test
	cargo build --package local
	cargo test --workspace --quiet --no-fail-fast
	cd tests/tilt && go test ./...
	$(MAKE) --no-print-directory test-cluster

.PHONY: test-cluster
test-cluster: ## The tests on a real Kubernetes, which they start and end (root, or docker or podman; ONLY=filter)
	scripts/test-cluster $(ONLY)

.PHONY: cluster
cluster: ## Leave a Kubernetes up with the operator and the sample stack (root; NODES=n); prints KUBECONFIG=<path> last
	@scripts/prepare cluster >&2
	@scripts/try-cluster

.PHONY: cluster-down
cluster-down: ## Remove every trace of that cluster
	CLUSTER_NAME=try tests/cluster/kubernetes/cluster down

.PHONY: compose
compose: ## The whole stack in containers on this machine (STACK=file, COMPOSE=podman-compose): settings and secrets in data/compose, then docker compose up
	cargo run --release --package local -- compose --stack "$(STACK)"
	$(COMPOSE) up

.PHONY: images
images: ## The nine images, with docker, podman or buildah, or as archives where there is none (ARGS="--tag 1.2.3 …")
	scripts/images $(ARGS)

.PHONY: sbom
sbom: ## What each image is made of, CycloneDX 1.6 (ARGS="--tag 1.2.3 --out FOLDER …")
	scripts/sbom --out "$(CACHE)/images" $(ARGS)

.PHONY: audit
audit: ## Known vulnerabilities in the crates, by the RustSec database of today (ADVISORY_DB=mirror)
	@scripts/prepare audit
	@scripts/audit

.PHONY: check
check: ## Formatting, lints, docs, fuzz targets, generated files, licences
	scripts/prepare check
	scripts/trim-build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	cargo clippy --package cluster-tests --test it --quiet -- --deny warnings # not among "all targets": `make test-cluster` runs it
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --quiet
	scripts/check-fuzz
	scripts/generate --check
	cargo deny --offline --log-level error check bans licenses sources

.PHONY: generate
generate: ## Write every generated file anew
	scripts/generate

.PHONY: fmt
fmt: ## Format
	cargo fmt --all

.PHONY: bench
bench: ## Start time, memory, CPU and latency of the whole stack, and what trust costs; see docs/benchmarks
	scripts/prepare bench
	cargo build --release --package local
	scripts/bench
	scripts/bench-trust

.PHONY: bench-trust
bench-trust: ## What tokens, logins, logouts, rotations, sealing and the audit cost; see docs/benchmarks/trust.md (PARTS="tokens logins revocation kek ratio")
	scripts/prepare bench
	scripts/bench-trust $(PARTS)

.PHONY: bench-gateway
bench-gateway: ## The gateway beside nginx, HAProxy, Envoy, Traefik; see docs/benchmarks/gateway.md (PARTS="a b memory syscalls growth tls http2 balancing hung")
	scripts/prepare bench-gateway
	cargo build --release --package gateway --bins --example balancing --example hung
	scripts/bench-gateway $(PARTS)

.PHONY: bench-notifications
bench-notifications: ## 100,000 mails, and as many reminders, due within a minute, handed on to a mail server on this machine: time, lateness, memory (COUNT=n)
	for what in mails reminders; do for engine in sqlite postgres; do echo "$$what, $$engine"; \
		cargo run --quiet --release --package notification --example burst -- "$$what" $(or $(COUNT),100000) "$$engine" || exit; done; done

.PHONY: bench-operator
bench-operator: ## The operator: start, drift, 100 to 1,000 stacks; see docs/benchmarks/operator.md (root; PARTS="real kwok scale")
	scripts/prepare cluster
	scripts/test-images
	scripts/bench-operator $(PARTS)

.PHONY: bench-slots
bench-slots: ## A search for free slots in 90 days of a provider with 1,000 appointments; see docs/benchmarks/scheduling.md
	cargo run --release --package appointment --example slots

.PHONY: bench-bookings
bench-bookings: ## Bookings a second by sixteen writers with twenty providers, and what a report of all of them takes; see docs/benchmarks/scheduling.md
	cargo run --release --package appointment --example bookings

.PHONY: bench-build
bench-build: ## Clean and warm build times, and the number of crates
	scripts/bench-build

.PHONY: fuzz
fuzz: ## Every fuzz target for a minute (SECONDS_EACH=n); needs cargo-fuzz and a nightly toolchain
	scripts/fuzz

.PHONY: tilt
tilt: ## The whole platform on a kind cluster, rebuilt as you save (needs Docker, kind, Tilt, Helm)
	kind get clusters | grep --quiet --line-regexp healthcare || kind create cluster --config tilt/kind.yaml
	tilt up --file tilt/Tiltfile --context kind-healthcare

.PHONY: tilt-down
tilt-down: ## Delete that cluster
	kind delete cluster --name healthcare
