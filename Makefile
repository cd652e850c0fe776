# make run     builds what is missing and serves http://127.0.0.1:3000/docs; ARGS="--addr ..." for settings
# make watch   the same for development: rebuilds and reloads on every change
# make cluster three nats-servers and two gateways on this machine: kill one and look; ARGS for settings
# make build   leaves target/release/micro-socket, which carries the page and runs on its own
# make test    every check and test; quiet when fine
# make looks   pictures the page anew, for tests that hold it against them: look at each before you keep it
# make speed   5,000 messages a second on the page for a minute while somebody types: how long a key takes
# make conformance   Autobahn|Testsuite against the transport; PYTHON2 names a Python 2.7
# make chaos   everything at once against the release build, kill -9 included: MINUTES=4, SEED to repeat one
# make soak    the same load without kills, and the slope of memory: MINUTES=10
# make bench   measures the gateway beside its peers, about 12 minutes, into docs/benchmarks.md; ARGS=--help
# make clean   removes what was built; the tools stay
#
# Needed beforehand: git, make, gcc, rustup and Node 20. The rest is installed into TOOLS.

export CARGO_LEPTOS := 0.3.10
export BINARYEN := 132.0.0
export SCHEMATHESIS := $(shell sed -n 's/^schemathesis==//p' .ci/schemathesis.txt)
# The program must have the version of the library.
export WASM_BINDGEN := $(shell sed -n '/^name = "wasm-bindgen"$$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)

CACHE := $(or $(XDG_CACHE_HOME),$(if $(HOME),$(HOME)/.cache,$(CURDIR)/target/cache))
export TOOLS := $(CACHE)/micro-socket/tools
export PATH := $(TOOLS)/cargo-leptos-$(CARGO_LEPTOS)/bin:$(TOOLS)/wasm-bindgen-cli-$(WASM_BINDGEN)/bin:$(TOOLS)/binaryen-$(BINARYEN)/node_modules/.bin:$(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
export CARGO_TARGET_DIR := $(CURDIR)/target
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

BINARY := target/release/micro-socket
SOURCES := $(shell find src public style -type f) build.rs Cargo.toml Cargo.lock rust-toolchain.toml
FULL_BENCH := --cores 1,2 --output docs/benchmarks.md
# Tests that want the machine for themselves, one at a time.
LONG = cargo test $(RELEASE) --locked --features ssr --test integration -- --ignored --nocapture --exact
PAGE_TOOLS := cargo-leptos wasm-bindgen wasm-opt
# Prints a port that nobody listens on, below those that the kernel gives away.
FREE_PORT := node -e 'const s = require("net").createServer(), again = () => s.listen(20000 + Math.floor(Math.random() * 12000), "127.0.0.1"); s.on("error", again).on("listening", () => { console.log(s.address().port); s.close() }); again()'

# `make test` sets QUIET: a step is one line then, unless it fails.
step = $(if $(QUIET),$(CURDIR)/.ci/step $(1))

help:
	@sed -n 's/^# make/make/p' Makefile

run: build
	@$(BINARY) $(ARGS)

watch: tools
	@cargo leptos watch

cluster: build
	@.ci/tools nats-server
	@deploy/cluster $(ARGS)

build: tools target/site/.built

test: export QUIET := 1
test:
	@.ci/step --start
	@.ci/step rust .ci/tools rust
	@.ci/step format cargo fmt --check
	@.ci/step lint-gateway cargo clippy --locked --features ssr --all-targets -- -D warnings
	@.ci/step lint-client cargo clippy --locked --features client --lib -- -D warnings
	@.ci/step lint-page cargo clippy --locked --features hydrate --lib --target wasm32-unknown-unknown -- -D warnings
	@$(MAKE) --no-print-directory clients/js/node_modules/.complete
	@cd clients/js && ../../.ci/step client-js npm run check
	@.ci/step nats-server .ci/tools nats-server
	@.ci/step tests cargo test --locked --features ssr --no-fail-fast
	@.ci/step schemathesis .ci/tools schemathesis
	@.ci/step openapi .ci/schemathesis
	@.ci/step chaos $(LONG) chaos::every_promise_holds_with_everything_at_once
	@.ci/step soak-smoke $(LONG) chaos::soak::memory_and_descriptors_stay_level
	@.ci/step bench-smoke cargo test --locked --features ssr --bench gateway -- --smoke --gateway target/debug/micro-socket
	@.ci/step lint-otlp cargo clippy --locked --features otlp --lib --bins --test integration -- -D warnings
	@.ci/step otlp cargo test --locked --features otlp --lib --test integration -- otlp traces
	@$(MAKE) --no-print-directory build
	@.ci/step page-weight .ci/page-weight
	@.ci/step chromium .ci/tools chromium
	@$(MAKE) --no-print-directory end2end/node_modules/.complete
	@cd end2end && MICRO_SOCKET_PORT=$$($(FREE_PORT)) ../.ci/step playwright node_modules/.bin/playwright test
	@cd clients/js && ../../.ci/step client-js-tests npm test
	@.ci/step --total

looks: build end2end/node_modules/.complete
	@.ci/tools chromium
	@cd end2end && node_modules/.bin/playwright test looks --update-snapshots

speed: build end2end/node_modules/.complete
	@.ci/tools chromium
	@cd end2end && SPEED_SECONDS=60 node_modules/.bin/playwright test speed

conformance:
	@.ci/autobahn

chaos soak: export CHAOS_SEED := $(SEED)
chaos soak: RELEASE := --release
chaos:
	@CHAOS_SECONDS=$$((60 * $(or $(MINUTES),4))) $(LONG) chaos::every_promise_holds_with_everything_at_once

soak:
	@SOAK_SECONDS=$$((60 * $(or $(MINUTES),10))) $(LONG) chaos::soak::memory_and_descriptors_stay_level

bench: build benches/peers/node_modules/.complete
	@node benches/peers/node_modules/bun/install.js
	@cargo bench --locked --bench gateway -- $(or $(ARGS),$(FULL_BENCH))

clean:
	rm -rf target end2end/node_modules end2end/test-results benches/peers/node_modules $(addprefix clients/js/,node_modules build dist)

tools:
	@$(call step,tools) .ci/tools rust $(PAGE_TOOLS)

# The site is made first and then compiled into the binary. The stamp lies in the site, which
# `make watch` replaces by one of its own.
target/site/.built: $(SOURCES) $(if $(wildcard $(BINARY)),,no-binary)
	@$(call step,release-build) cargo leptos build --release --precompress
	@touch $@

%/node_modules/.complete: %/package-lock.json
	@cd $* && $(call step,npm) npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

no-binary:

.PHONY: help run watch cluster build test looks speed conformance chaos soak bench clean tools no-binary
