# The benchmarks: `make bench-build` and `make bench-run`. The head of bench.c names the variables
# that choose and shorten. Peers whose library is missing are left out of the table.
BENCH_SOURCE := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BENCH_ROOT := $(BENCH_SOURCE)/../..
BENCH_DIR ?= build/bench
BENCH_CFLAGS ?= -O2 -Wall -Wextra
BENCH_OURS := $(addprefix $(BENCH_DIR)/,bench load echo_raw echo_async micro)
BENCH_PEERS := echo_libev echo_libuv echo_libuv_doc echo_libevent micro_libev
BENCH_PEERS := $(addprefix $(BENCH_DIR)/,$(BENCH_PEERS))

$(BENCH_DIR)/echo_libev $(BENCH_DIR)/micro_libev: BENCH_LIBS = -lev
$(BENCH_DIR)/echo_libuv $(BENCH_DIR)/echo_libuv_doc: BENCH_LIBS = -luv
$(BENCH_DIR)/echo_libevent: BENCH_LIBS = -levent_core

$(BENCH_DIR)/echo_async $(BENCH_DIR)/micro: $(BENCH_ROOT)/async.h
$(filter $(BENCH_DIR)/echo_%,$(BENCH_OURS) $(BENCH_PEERS)): $(BENCH_SOURCE)/echo.h
$(BENCH_DIR)/micro $(BENCH_DIR)/micro_libev: $(BENCH_SOURCE)/micro.h

$(BENCH_OURS): $(BENCH_DIR)/%: $(BENCH_SOURCE)/%.c
	@mkdir -p $(BENCH_DIR)
	$(CC) $(BENCH_CFLAGS) -o $@ $<

$(BENCH_PEERS): $(BENCH_DIR)/%: $(BENCH_SOURCE)/%.c
	@mkdir -p $(BENCH_DIR)
	@$(CC) $(BENCH_CFLAGS) -o $@ $< $(BENCH_LIBS) || echo "left out: $*, for its library is missing"

$(BENCH_DIR)/%.sh: $(BENCH_SOURCE)/%.sh
	@mkdir -p $(BENCH_DIR)
	cp $< $@

# Programs of examples/ that have a peer of their kind.
BENCH_PROGRAMS := $(patsubst $(BENCH_ROOT)/examples/%.c,$(BENCH_DIR)/%,\
    $(wildcard $(foreach program,kv http proxy,$(BENCH_ROOT)/examples/$(program).c)))
$(BENCH_DIR)/kv: BENCH_LIBS = -lhiredis
$(BENCH_DIR)/http: BENCH_LIBS = -lhttp_parser
$(BENCH_PROGRAMS): $(BENCH_DIR)/%: $(BENCH_ROOT)/examples/%.c $(BENCH_ROOT)/async.h
	@mkdir -p $(BENCH_DIR)
	@$(CC) $(BENCH_CFLAGS) -I$(BENCH_ROOT) -o $@ $< $(BENCH_LIBS) -pthread || \
	    echo "left out: $*, for its library is missing"

$(BENCH_DIR)/peers_go: $(BENCH_SOURCE)/peers.go
	@mkdir -p $(BENCH_DIR)
	@GOCACHE=$(abspath $(BENCH_DIR))/go GO111MODULE=off go build -o $@ $< || echo "left out: Go, for it is missing"

bench-build: $(BENCH_OURS) $(BENCH_PEERS) $(BENCH_PROGRAMS) $(BENCH_DIR)/peers_go $(BENCH_DIR)/size.sh \
    $(BENCH_DIR)/peers.sh

bench-run: bench-build
	@CC="$(CC)" BENCH_SOURCE=$(BENCH_SOURCE) BENCH_ROOT=$(BENCH_ROOT) \
	    $(BENCH_DIR)/bench $(BENCH_DIR) $(BENCH_DIR)/../bench.tsv

.PHONY: bench-build bench-run
