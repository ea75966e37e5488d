# async.h: `make` says what there is to make. Everything built goes to build/.
CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow
B = build

help:
	@echo "make learn     the course: checks an exercise at each save (EX=06.2: only that one, once)"
	@echo "make demo      the ping-pong with callbacks and with coroutines, then 1000 clients at once"
	@echo "make test      the behaviour tests, natively and under Valgrind (installs what is missing)"
	@echo "make check     the slow arms: matrix, cross, sanitizers, qemu, lint, coverage"
	@echo "make programs  the programs of examples/ against curl, redis-cli and other clients"
	@echo "make soak      any number of worlds: SEEDS=10000 of each test; also make torture, make fuzz"
	@echo "make mutants   broken copies of async.h: the worlds must find each"
	@echo "make figures   the measurements, pictures and numbers of docs/course, from new runs (some minutes)"
	@echo "make bench     beside a hand-written epoll loop, libev, libuv and libevent: ratios"
	@echo "make site      README and docs/ as HTML in build/html (needs pandoc)"
	@echo "make install   async.h, async.pc and the test kit below PREFIX (/usr/local)"
	@echo "  arms of check: matrix refuse lint sanitize optimised tsan qemu cross coverage course-check figures-check"

$(B):
	@mkdir -p $(B)

# --- examples ---------------------------------------------------------------
CRAWLERS = crawl_sequential crawl_processes crawl_threads crawl_callbacks crawl_coroutines
EXAMPLES = pong_callback pong_coroutine ping echo proxy chat run site $(CRAWLERS)
WITH_LIBRARY = http kv inside_glib crawl_shared
LIBRARY_http = -lhttp_parser
LIBRARY_kv = -lhiredis
LIBRARY_crawl_shared = -lhiredis
LIBRARY_inside_glib = $(shell pkg-config --cflags --libs glib-2.0)

$(EXAMPLES:%=$(B)/%): $(B)/%: examples/%.c async.h | $(B)
	$(CC) $(CFLAGS) $(WARN) -I. $< -pthread -o $@

$(CRAWLERS:%=$(B)/%) $(B)/crawl_shared: examples/crawl.h
$(EXAMPLES:%=$(B)/%) $(WITH_LIBRARY:%=$(B)/%): examples/number.h
$(B)/crawl_shared: examples/adapters/redis.h

# These stand on a library of somebody else's.
$(WITH_LIBRARY:%=$(B)/%): $(B)/%: examples/%.c async.h | $(B)
	$(CC) $(CFLAGS) $(WARN) -I. $< $(LIBRARY_$*) -pthread -o $@

# What one is compiled with, for lint.
library-%:
	@echo $(filter -I% -D% -isystem%,$(LIBRARY_$*))

# Other libraries on the loop: a program on each header of examples/adapters.
ADAPTERS = tls_client tls_echo fetch redis_count lookup
PKG_tls = openssl
PKG_fetch = libcurl
PKG_redis = hiredis
PKG_lookup = libcares
$(ADAPTERS:%=$(B)/%): $(B)/%: examples/adapters/%.c examples/number.h $(wildcard examples/adapters/*.h) async.h | $(B)
	$(CC) $(CFLAGS) $(WARN) -I. $< $$(pkg-config --cflags --libs $(PKG_$(firstword $(subst _, ,$*)))) -pthread -o $@
$(B)/tls_limits: tests/programs/tls_limits.c examples/adapters/tls.h async.h | $(B)
	$(CC) $(CFLAGS) $(WARN) -I. $< $$(pkg-config --cflags --libs openssl) -o $@
$(B)/tls_updates: tests/programs/tls_updates.c | $(B)
	$(CC) $(CFLAGS) $(WARN) $< $$(pkg-config --cflags --libs openssl) -o $@
$(B)/redis_many: tests/programs/redis_many.c examples/adapters/redis.h async.h | $(B)
	$(CC) $(CFLAGS) $(WARN) -I. $< $$(pkg-config --cflags --libs hiredis) -o $@

adapters: $(ADAPTERS:%=$(B)/%) $(B)/tls_limits $(B)/tls_updates $(B)/redis_many

examples: $(EXAMPLES:%=$(B)/%)

demo: examples
	@examples/demo.sh $(B)

# --- the course --------------------------------------------------------------
$(B)/learn/learn: docs/course/learn.c docs/course/learn.h async.h
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(WARN) -I. $< -pthread -o $@

# AT=06.2 goes on there; EX=06.2 checks that one and ends.
learn: $(B)/learn/learn
	@$< $(if $(EX),$(EX),$(if $(AT),--at $(AT)))

course-check:
	docs/course/check_all.sh

# --- tests ------------------------------------------------------------------
# Everything is built three times over one list: with Criterion, as a plain driver, and with sanitizers. On Linux
# the kqueue backend runs on the emulation in tests/kqueue.
TESTS = $(wildcard tests/test_*.c)
ifeq ($(shell uname -s),Linux)
BACKENDS = poll epoll kqueue
EMULATION = tests/kqueue/kqueue.c
TEST_FLAGS = -DASYNC_HAS_KQUEUE=1 -Itests/kqueue -pthread
else
BACKENDS = poll kqueue
TESTS := $(filter-out tests/test_kqueue_emulation.c,$(TESTS))
TEST_FLAGS = -pthread
endif
TEST_FLAGS += -I. -Itests -std=gnu11 -g $(WARN) -Werror '-DTEST_BACKEND_LIST="$(BACKENDS)"'
CRITERION = $(shell pkg-config --cflags --libs criterion)
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
PARTS = async.h $(wildcard tests/*.h tests/kqueue/sys/*.h)

# objects(folder, flags): one rule for each kind of build
define objects
$(B)/$(1)/%.o: tests/%.c $(PARTS)
	@mkdir -p $$(@D)
	$$(CC) $(TEST_FLAGS) $(2) -c $$< -o $$@
endef
$(eval $(call objects,criterion,-O0))
$(eval $(call objects,plain,-O0 -DTEST_PLAIN))
$(eval $(call objects,plain-O2,-O2 -DTEST_PLAIN -DASYNC_DEBUG=0))
$(eval $(call objects,sanitize,$(SANITIZE) -DASYNC_DEBUG=0 -DTEST_PLAIN))

NAMES = $(notdir $(TESTS:.c=.o)) test.o $(if $(EMULATION),kqueue/kqueue.o)
$(B)/tests: $(NAMES:%=$(B)/criterion/%) $(B)/criterion/criterion_main.o $(B)/criterion/kit/async_verdict.o
	$(CC) $^ $(CRITERION) -pthread -o $@
$(B)/tests-plain: $(NAMES:%=$(B)/plain/%) $(B)/plain/plain.o
	$(CC) $^ -pthread -o $@
$(B)/tests-O2: $(NAMES:%=$(B)/plain-O2/%) $(B)/plain-O2/plain.o
	$(CC) $^ -pthread -o $@
$(B)/tests-sanitize: $(NAMES:%=$(B)/sanitize/%) $(B)/sanitize/plain.o
	$(CC) $(SANITIZE) $^ -pthread -o $@

# The tests in the simulated world: with Criterion, and as a plain driver that takes any number of seeds.
SIM_TESTS = $(wildcard tests/sim_*.c)
KIT_FLAGS = -Itests/kit -Itests/kqueue $(filter-out -DASYNC_HAS_KQUEUE=1,$(TEST_FLAGS))
KIT_PARTS = async.h $(wildcard tests/kit/*.h tests/sim_*.h)
KIT_NAMES = kit/async_sim.o kit/async_test.o $(notdir $(SIM_TESTS:.c=.o)) $(if $(EMULATION),kqueue/kqueue.o)

# kit(folder, flags): the simulated kernel is optimised, the header and its tests are not: to compile them takes longer
# than to run them.
define kit
$(B)/$(1)/%.o: tests/%.c $(KIT_PARTS)
	@mkdir -p $$(@D)
	$$(CC) $(KIT_FLAGS) $(2) $$(if $$(findstring /kit/,$$<),-O2,-O0) -c $$< -o $$@
endef
$(eval $(call kit,sim,))
$(eval $(call kit,sim-plain,-DASYNC_TEST_PLAIN))
$(eval $(call kit,sim-older,-DASYNC_TEST_PLAIN -DASYNC_HAS_ACCEPT4=0 -DASYNC_HAS_PIPE2=0))
$(eval $(call kit,sim-sanitize,$(SANITIZE) -DASYNC_TEST_PLAIN))

$(B)/worlds: $(KIT_NAMES:%=$(B)/sim/%) $(B)/sim/kit/async_verdict.o
	$(CC) $^ $(CRITERION) -pthread -o $@
$(B)/worlds-plain: $(KIT_NAMES:%=$(B)/sim-plain/%)
	$(CC) $^ -pthread -o $@
$(B)/worlds-older: $(KIT_NAMES:%=$(B)/sim-older/%)
	$(CC) $^ -pthread -o $@
$(B)/worlds-sanitize: $(KIT_NAMES:%=$(B)/sim-sanitize/%)
	$(CC) $(SANITIZE) $^ -pthread -o $@

# The tests above a second time, in calm worlds on the simulated kernel. What tests the layer itself, or the emulation
# of kqueue, has no place there.
BOTH_TESTS = $(filter-out tests/test_kqueue_emulation.c tests/test_layer.c tests/test_names.c \
    tests/test_processes.c tests/test_threads.c,$(wildcard tests/test_*.c))
BOTH_NAMES = $(notdir $(BOTH_TESTS:.c=.o)) test.o simulated/driver.o kit/async_sim.o kit/async_test.o \
    $(if $(EMULATION),kqueue/kqueue.o)

# simulated(folder, flags)
define simulated
$(B)/$(1)/%.o: tests/%.c $(PARTS) $(KIT_PARTS) $(wildcard tests/simulated/*.h)
	@mkdir -p $$(@D)
	$$(CC) -Itests/simulated -Itests/kit $(TEST_FLAGS) -DTEST_SIMULATED $(2) -c $$< -o $$@
endef
$(eval $(call simulated,simulated,-O0))
$(eval $(call simulated,simulated-plain,-O0 -DTEST_PLAIN -DASYNC_TEST_PLAIN))

$(B)/tests-simulated: $(BOTH_NAMES:%=$(B)/simulated-plain/%)
	$(CC) $^ -pthread -o $@
$(B)/tests-simulated-criterion: $(BOTH_NAMES:%=$(B)/simulated/%) $(B)/simulated/kit/async_verdict.o
	$(CC) $^ $(CRITERION) -pthread -o $@

VALGRIND = valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --trace-children=yes '--trace-children-skip=/bin/*,/usr/bin/*' --error-exitcode=99

test:
	@tests/install.sh pkg-config criterion valgrind
	@$(MAKE) --no-print-directory -j2 test-valgrind test-worlds-valgrind test-worlds test-native test-simulated

# Each test in its worlds; the sums say whether they were enough.
test-worlds: $(B)/worlds
	@rm -f $(B)/worlds.tsv
	ASYNC_STATS=$(B)/worlds.tsv timeout 400 $(B)/worlds
	tests/worlds.sh $(B)/worlds.tsv

test-native: $(B)/tests
	timeout 400 $(B)/tests

# As programs are built that are shipped; and under Valgrind what `make test` has no time for.
optimised: $(B)/tests-O2 $(B)/tests-plain
	timeout 400 $(B)/tests-O2
	$(if $(EMULATION),TEST_BACKENDS=kqueue timeout 900 $(VALGRIND) $(B)/tests-plain)

# The same tests on the simulated kernel: see REAL_TEST and SIMULATED_TEST in tests/test.h.
test-simulated: $(B)/tests-simulated
	timeout 400 $(B)/tests-simulated

test-valgrind: $(B)/tests-plain
	TEST_BACKENDS="$(filter-out $(if $(EMULATION),kqueue),$(BACKENDS))" timeout 900 $(VALGRIND) $(B)/tests-plain

test-worlds-valgrind: $(B)/worlds-plain
	ASYNC_SEEDS=12 timeout 900 $(VALGRIND) $(B)/worlds-plain

sanitize: $(B)/tests-sanitize $(B)/worlds-sanitize
	for cc in $(CC) clang; do \
	    ! command -v $$cc || { $$cc -O0 -I. -fsanitize=address tests/compile/kept_local.c -pthread -o $(B)/kept-local && \
	        ASAN_OPTIONS=detect_stack_use_after_return=1 $(B)/kept-local; } || exit 1; \
	done
	ASAN_OPTIONS=detect_stack_use_after_return=1 timeout 400 $(B)/tests-sanitize
	ASAN_OPTIONS=detect_stack_use_after_return=1 ASYNC_SEEDS=15 timeout 600 $(B)/worlds-sanitize

# Copies of async.h with one fault each: the worlds must find every one. tests/mutants.sh --core says which of them
# the tests on the real kernel find, too.
mutants:
	tests/mutants.sh

# Mutants of one token each, MUTANTS of them: survivors must be explained. Takes half an hour.
MUTANTS ?= 300
mutate:
	tests/mutate.sh $(MUTANTS)

torture: $(B)/worlds-plain $(B)/worlds-older
	tests/torture.sh $^

# Any number of worlds, on all cores: make soak SEEDS=10000 is so many for each test and backend.
SEEDS ?= 10000
FROM ?= $(shell printf '%d' 0x$$(git rev-parse --short=7 HEAD 2> /dev/null || echo 1))
soak: $(B)/worlds-plain
	@rm -f $(B)/soak.tsv
	ASYNC_SEEDS=$(SEEDS) ASYNC_SEED_FROM=$(FROM) ASYNC_TORTURE=0 ASYNC_WATCHDOG=86400 ASYNC_STATS=$(B)/soak.tsv \
	    $(B)/worlds-plain --jobs $$(getconf _NPROCESSORS_ONLN)
	tests/worlds.sh $(B)/soak.tsv 0

# The same decisions from libFuzzer's bytes: which test, which backend, then each choice.
FUZZ_SECONDS ?= 60
FUZZ_FLAGS = -O0 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DASYNC_TEST_PLAIN -DASYNC_TEST_FUZZ
fuzz:
	@tests/install.sh clang
	@mkdir -p $(B)/fuzz
	clang $(filter-out $(WARN) -Werror,$(KIT_FLAGS)) $(FUZZ_FLAGS) tests/kit/async_sim.c tests/kit/async_test.c \
	    $(SIM_TESTS) $(EMULATION) -o $(B)/fuzz/worlds
	@mkdir -p $(B)/fuzz/corpus
	$(B)/fuzz/worlds -max_total_time=$(FUZZ_SECONDS) -max_len=512 -artifact_prefix=$(B)/fuzz/ -verbosity=0 $(B)/fuzz/corpus

# The fuzzer finds the planted bug within seconds, and nothing in the header.
fuzz-check:
	@tests/install.sh clang
	@mkdir -p $(B)/fuzz
	clang $(filter-out $(WARN) -Werror,$(KIT_FLAGS)) $(FUZZ_FLAGS) tests/kit/async_sim.c tests/kit/async_test.c \
	    docs/testing/worlds.c $(EMULATION) -o $(B)/fuzz/planted
	! $(B)/fuzz/planted -runs=200000 -artifact_prefix=$(B)/fuzz/ 2> $(B)/fuzz/planted.log
	grep 'deadlock: 1 task waits' $(B)/fuzz/planted.log
	$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=30

# The planted bug of docs/testing.md.
PLANTED = $(B)/sim/kit/async_sim.o $(B)/sim/kit/async_test.o $(B)/sim/kit/async_verdict.o \
    $(if $(EMULATION),$(B)/sim/kqueue/kqueue.o)
$(B)/planted: docs/testing/worlds.c docs/testing/echo.c $(KIT_PARTS) $(PLANTED)
	$(CC) -g -I. -Itests/kit -Itests/kqueue $< $(PLANTED) $(CRITERION) -pthread -o $@
$(B)/planted-plain: docs/testing/plain.c docs/testing/echo.c async.h
	$(CC) -g -I. $< -o $@

# The programs of examples/ against curl, redis-cli, socat and other clients: see tests/programs.
programs:
	@tests/install.sh programs
	@$(MAKE) --no-print-directory examples $(WITH_LIBRARY:%=$(B)/%) adapters
	tests/programs.sh

matrix:
	tests/compile/matrix.sh
refuse:
	tests/compile/refuse.sh
cross:
	tests/cross.sh
qemu:
	tests/qemu.sh
tsan: $(B)/tests-plain
	tests/tsan.sh
kit-red:
	tests/kit/red.sh
red: kit-red
	tests/red.sh
	tests/course_red.sh
	LINT_OUT=$(B)/lint-red tests/lint.sh --red
lint:
	tests/lint.sh
coverage:
	tests/coverage.sh

# The slow arms, two at a time, the longest first; all of them run, and any that failed is named at the end. What
# several of them are made of is made before.
ARMS = lint coverage cross red qemu sanitize matrix optimised programs fuzz-check tsan mutants docs-check torture refuse \
    course-check site-check figures-check
check: | $(B)
	@tests/install.sh pkg-config criterion valgrind clang tcc musl m32 qemu programs pandoc chromium
	@$(MAKE) --no-print-directory -j2 $(B)/tests-plain $(B)/worlds-plain $(B)/worlds-older $(B)/planted \
	    $(B)/planted-plain
	@rm -f $(B)/*.failed
	@printf '%s\n' $(ARMS) | xargs -I @ -P 2 $(MAKE) --no-print-directory -s arm ARM=@
	@[ -z "$$(cd $(B) && ls *.failed 2> /dev/null)" ] || { cd $(B) && echo "failed:" *.failed; exit 1; }

arm:
	@begun=$$(date +%s); $(MAKE) --no-print-directory $(ARM) > $(B)/$(ARM).txt 2>&1 || touch $(B)/$(ARM).failed; \
	printf '== make %s, %d s\n%s\n' $(ARM) $$(($$(date +%s) - begun)) "$$(grep -v '^ok ' $(B)/$(ARM).txt | tail -n 40)"

docs:
	docs/embed.sh
	docs/api.sh > docs/api.md
	docs/internals.sh

docs-check:
	docs/embed.sh --check
	docs/api.sh | cmp - docs/api.md
	docs/internals.sh --check
	! command -v python3 > $(B)/python3 || tests/asyncio_names.py
	docs/check.sh README.md docs/*.md docs/course/*.md docs/course/*/README*.md
	docs/course/commands.sh

# The course's measurements: see the head of the script. The check compares shapes.
figures:
	docs/course/figures/figures.sh
figures-check:
	docs/course/figures/figures.sh --check

# README and docs/ as pages of HTML in build/html, every link checked. Needs pandoc.
site: | $(B)
	@tests/install.sh pandoc
	docs/site.sh

# The same in Chromium, as wide as a phone and as a desk.
site-check: site
	@tests/install.sh chromium
	tests/site.sh
	tests/site.sh --red

include tests/bench/bench.mk
bench:
	@tests/install.sh pkg-config peers strace
	@$(MAKE) --no-print-directory bench-run

clean:
	rm -rf $(B)

PREFIX ?= /usr/local
install:
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/pkgconfig
	install -m 644 async.h $(DESTDIR)$(PREFIX)/include/
	install -d $(DESTDIR)$(PREFIX)/share/async_test
	install -m 644 tests/kit/*.[ch] $(DESTDIR)$(PREFIX)/share/async_test/
	printf 'Name: async.h\nDescription: async / await for C\nVersion: 0.1.0\nCflags: -I%s/include\n' \
	    $(PREFIX) > $(DESTDIR)$(PREFIX)/share/pkgconfig/async.pc

.PHONY: arm help learn examples adapters programs demo test test-native test-simulated test-valgrind test-worlds-valgrind kit-red check $(ARMS) docs bench clean install test-worlds soak fuzz mutate figures site
