# make start installs, builds and runs. make test runs all checks. make help lists every target.
# Runs a command and prints its time.
timed = @start=$$(date +%s); $(1) && echo "make $@: $$(($$(date +%s) - start)) s"

.PHONY: start cluster test conformance nodes bench build programs tools lint check suite format help

start: build ## install what the build needs, build, run on http://127.0.0.1:5000 (ARGS="--port 8080" for flags)
	node dist/server.js $(ARGS)

cluster: build ## run Redis, three processes and nginx in front of them, on free ports, until Ctrl-C
	bash test/install.sh redis nginx
	node deploy/cluster.mjs

test: programs build tools lint check suite ## install what the tests need, build, lint, type-check, test

conformance: build ## check holdline against the protocol, or another server with URL=http://host:port
	npm run --silent conformance -- $(or $(URL),--start "node dist/server.js --port 0 --data {data} --post-rate 0 --login-rate 0")

nodes: build tools ## run the tests on Node 20, 22, 24 and 26, which npm downloads (NODES="22 24" for some of them)
	bash test/nodes.sh

bench: build ## measure beside bare node:http (minutes; ONLY=holdline,bare WHAT=one,rate for a part; PEERS=1 installs peers)
	node test/bench/bench.mjs
	[ -n "$(ONLY)$(WHAT)" ] || { node test/bench/store.mjs && node test/bench/cluster.mjs; }

build: node_modules/.package-lock.json ## compile to dist/
	$(call timed,npm run --silent build)

programs: ## install the Debian programs that the tests need
	$(call timed,bash test/install.sh)

tools: test/node_modules/.package-lock.json ## install the npm packages that the tests need

lint: tools ## lint the source and check its format with Biome
	$(call timed,npm run --silent lint)

check: build tools ## type-check the source and the tests
	$(call timed,npm run --silent check)

suite: ## run the tests without a build (ARGS=test/feed/feed.test.ts for one file)
	$(call timed,npm test --silent -- $(ARGS))

format: tools ## format the source with Biome
	npm run --silent format

# The tools of the tests have their own package.json, so `make start` does not install them.
node_modules/.package-lock.json: package.json package-lock.json
	$(call timed,npm ci --ignore-scripts --no-audit --no-fund)
	@touch $@

test/node_modules/.package-lock.json: test/package.json test/package-lock.json
	$(call timed,npm ci --ignore-scripts --no-audit --no-fund --prefix test)
	@touch $@

help: ## list every target
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 13
