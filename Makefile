# async.h: `make` says what there is to make. Everything built goes to build/.
CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow
B = build

help:
	@echo "make demo      the ping-pong with callbacks and with coroutines, then 1000 clients at once"
	@echo "make test      the behaviour tests, natively and under Valgrind (installs what is missing)"
	@echo "make check     the slow arms: matrix, cross, sanitizers, qemu, lint, coverage"
	@echo "make bench     beside a hand-written epoll loop, libev, libuv and libevent: ratios"
	@echo "make install   async.h and async.pc below PREFIX (/usr/local)"
	@echo "  arms of check: matrix refuse lint sanitize tsan qemu cross coverage"

$(B):
	@mkdir -p $(B)

# --- examples ---------------------------------------------------------------
EXAMPLES = pong_callback pong_coroutine ping

$(EXAMPLES:%=$(B)/%): $(B)/%: examples/%.c async.h | $(B)
	$(CC) $(CFLAGS) $(WARN) -I. $< -o $@

examples: $(EXAMPLES:%=$(B)/%)

demo: examples
	@examples/demo.sh $(B)

clean:
	rm -rf $(B)

PREFIX ?= /usr/local
install:
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/pkgconfig
	install -m 644 async.h $(DESTDIR)$(PREFIX)/include/
	printf 'Name: async.h\nDescription: async / await for C\nVersion: 0.1.0\nCflags: -I%s/include\n' \
	    $(PREFIX) > $(DESTDIR)$(PREFIX)/share/pkgconfig/async.pc

.PHONY: help examples demo clean install
