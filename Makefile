# Nuvom's tasks. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo example test build tools bench bench-full bench-packages instructions docs proof proof-short simulate crash fuzz sanitize format clean packages

SWIFT_FILES := Package.swift Sources Tests Examples \
  Benchmarks/Package.swift Benchmarks/micro Benchmarks/Microbenchmarks Benchmarks/transport

# With Swift's libraries inside, the executable runs where no Swift is installed. And it does not check each access to a class's property for
# overlapping ones: that is for the tests, which do; SwiftNIO's classes would pay 6 % of a small request for it.
STATIC := $(if $(filter Linux,$(shell uname)),--static-swift-stdlib)
RELEASE := $(STATIC) -Xswiftc -enforce-exclusivity=unchecked

help: ## Show this list
	@sed -nE 's/^([a-z%-]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

# DIR travels by the environment: its name may hold anything.
demo: export DIR := $(value DIR)
demo: build ## Kill a broker amid a real job; all results are compared with sha256sum. DIR=path: files of your own
	@.build/release/checksums run $${DIR:+"$$DIR"}

example: build ## Build and run Examples/LinkCheck, a package as a user has it: tasks, workers, a producer
	@scripts/example

test: packages ## Check the format, build with warnings as errors, run all tests
	@scripts/test

build: packages ## Build nuvom and the example for release
	@swift build -c release $(RELEASE) --product nuvom
	@swift build -c release $(RELEASE) --product checksums

# For debug: in release, its parser alone takes seven minutes. A build folder of its own, so that no other build is done anew for its options.
tools: build ## Build nuvom-discover too, the parser of `nuvom discover`, beside nuvom
	@swift build --scratch-path .build/tools --traits Macros $(STATIC) --product nuvom-discover
	@cp .build/tools/debug/nuvom-discover .build/release/nuvom-discover

bench: bench-packages ## Compare with beanstalkd and Redis on this machine, where there are goals (under 10 minutes)
	@Benchmarks/compare.py --short

bench-full: bench-packages ## Compare everything (about an hour and a half)
	@Benchmarks/compare.py

bench-%: bench-packages ## Compare one part in full: limits, rates, latency, memory, delayed, connections, schedules, growth, idle, transport
	@Benchmarks/compare.py --part $*

bench-packages: build
	@scripts/install-packages Benchmarks/apt-packages.txt

instructions: packages ## Count the instructions of the core's work; fails if they have become more
	@Benchmarks/instructions.py

docs: packages ## Build the DocC pages into .build/documentation; fails if a link leads nowhere
	@scripts/docs

proof-short: packages ## Try the promises: simulation, planted bugs, crashes, broken disks, damage, hostile clients (under 25 minutes)
	@scripts/proof short

proof: packages ## The same at length, with the sanitizers (hours; HOURS=n: of them simulation)
	@scripts/proof long

simulate: build ## Simulate with new seeds on all cores; HOURS=8
	@scripts/simulate $(or $(HOURS),1)

crash: build ## Kill the real broker under load; ROUNDS=1000
	@swift build -c release $(RELEASE) --product nuvom-proof
	@.build/release/nuvom-proof crash --rounds $(or $(ROUNDS),50)

fuzz: packages ## Fuzz what reads bytes from elsewhere; SECONDS=60 for each target
	@scripts/fuzz $(or $(SECONDS),60)

sanitize: packages ## Run the tests with ThreadSanitizer, then with AddressSanitizer (some half an hour)
	@scripts/sanitize thread
	@scripts/sanitize address

format: ## Format all Swift files
	@swift format --in-place --parallel --recursive --configuration .swift-format $(SWIFT_FILES)

clean: ## Remove everything that was built
	rm -rf .build .demo Examples/LinkCheck/.build Benchmarks/.build Benchmarks/.build-instructions Benchmarks/.build-transport

packages:
	@command -v swift >/dev/null || { echo "Swift 6.2 or newer is needed: https://www.swift.org/install/" >&2; exit 1; }
	@scripts/install-packages .ci/apt-packages.txt
