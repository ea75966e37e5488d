/*
 * The ways taken on systems without accept4(2) and pipe2(2), shared ports and abstract names.
 *
 * Goal: what async.h makes is non-blocking and inherited by no child there too, and what it cannot
 * make it says. Method: the macros that turn the better way off, and a look at the flags.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define ASYNC_HAS_ACCEPT4 0
#define ASYNC_HAS_PIPE2 0
#define ASYNC_HAS_REUSEPORT 0
#define ASYNC_HAS_ABSTRACT 0
#include "async.h"
#include "test.h"

#include "io.h"

static void check_flags(int fd)
{
    check(is_nonblocking(fd));
    check(is_close_on_exec(fd));
}

TASK_TEST(fallbacks, of_accept_set_the_flags, int listener, client, fd; char data[4];)
{
    ssize_t n;
    async_begin;
    self->listener = async_listen("127.0.0.1", 0);
    check_flags(self->listener);
    await(self->fd, async_accept(self->listener), 0);
    check_equal(self->fd, -ETIMEDOUT);
    self->client = raw_client(async_port(self->listener));
    await(self->fd, async_accept(self->listener), 5000);
    check(self->fd >= 0);
    check_flags(self->fd);
    await(n, async_read(self->fd, self->data, 4), 0);
    check_equal(n, -ETIMEDOUT);
    check_equal(write(self->client, "ping", 4), 4);
    await(n, async_read(self->fd, self->data, 4), 0);
    check_equal(n, 4);
    close(self->client);
    async_end;
}

TASK_TEST(fallbacks, of_pipe_set_the_flags, int ends[2]; char data[4]; rlim_t limit;)
{
    ssize_t n;
    async_begin;
    check_equal(async_pipe(self->ends), 0);
    check_flags(self->ends[0]);
    check_flags(self->ends[1]);
    await(n, async_read(self->ends[0], self->data, 4), 0);
    check_equal(n, -ETIMEDOUT);
    await(n, async_write(self->ends[1], "ping", 4), 0);
    check_equal(n, 4);
    await(n, async_read(self->ends[0], self->data, 4), 0);
    check_equal(n, 4);
    self->limit = leave_descriptors(1);
    check_error(async_pipe, EMFILE, async_pipe(self->ends));
    restore_descriptors(self->limit);
    async_end;
}

static int makes_standard_ones(void)
{
    int ends[2];
    check_equal(async_open(&(async_options){ .backend = "poll" }), 0);
    close(0);
    check_equal(async_pipe(ends), 0);
    check_equal(ends[0], 0);
    check_flags(0);
    return async_loop_close();
}

/* A daemon has closed 0 to 2: what gets such a number is no child's either. */
REAL_TEST(fallbacks, of_standard_numbers_set_the_flags, "descriptor 0")
{
    check_equal(in_child(makes_standard_ones), 0);
}

/* The pair has no such call anywhere but the flags. */
TASK_TEST(fallbacks, are_what_a_pair_of_sockets_has, int ends[2];)
{
    async_begin;
    check_equal(async_socketpair(self->ends), 0);
    check_flags(self->ends[0]);
    check_flags(self->ends[1]);
    async_end;
}

TASK_TEST(fallbacks, say_what_the_system_lacks, async_address address;)
{
    static const async_listen_options sharing = { 0, 1 }, plain = { 4, 0 };
    async_begin;
    check(async_listen_with("127.0.0.1", 0, &plain) >= 0);
    check_equal(async_address_unix(&self->address, "name@"), 0);
    check_error(async_listen_with, ENOTSUP, async_listen_with("127.0.0.1", 0, &sharing));
    check_equal(async_bind_udp("127.0.0.1", 0, &sharing), -ENOTSUP);
    check_error(async_address_unix, ENOTSUP, async_address_unix(&self->address, "@name"));
    check_equal(async_listen_unix("@name"), -ENOTSUP);
    check_equal(async_bind_unix("@name"), -ENOTSUP);
    async_end;
}

/* Where no name is abstract, one of zeroes is none: so macOS answers for a Unix socket without
 * one. */
TASK_TEST(fallbacks, of_a_unix_socket_without_a_name_is_an_empty_address, int fd;
          async_address address;)
{
    struct sockaddr_un nameless;
    char text[ASYNC_ADDRESS_TEXT], path[64];
    async_begin;
    memset(&nameless, 0, sizeof nameless);
    nameless.sun_family = AF_UNIX;
    self->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    check_equal(bind(self->fd, (struct sockaddr *)&nameless, 16), 0);
    check_equal(async_adopt(self->fd), self->fd);
    check_equal(async_own_address(self->fd, &self->address), 0);
    check_equal(self->address.size, 0);
    async_address_print(&self->address, text, sizeof text);
    check_text(text, "");
    async_close(self->fd);
    snprintf(path, sizeof path, "/tmp/async-named-%ld", (long)getpid());
    self->fd = async_listen_unix(path);
    check_equal(async_own_address(self->fd, &self->address), 0);
    check(self->address.size > 0);
    check_text(self->address.is.local.sun_path, path);
    async_close(self->fd);
    unlink(path);
    async_end;
}
