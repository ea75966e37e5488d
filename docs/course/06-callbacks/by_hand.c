/* Two commands at once, in one thread: who has news first is read first.
 *
 *     cc docs/course/06-callbacks/by_hand.c -o by_hand && ./by_hand
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int running = 2;

static void on_readable(struct pollfd *command)
{
    char text[64];
    ssize_t n = read(command->fd, text, sizeof text);
    if (n > 0) {
        fwrite(text, 1, (size_t)n, stdout);
        return;
    }
    command->fd = -1; /* poll skips it from now on */
    running--;
}

int main(void)
{
    FILE *slow = popen("sleep 2; echo slow", "r");
    FILE *fast = popen("sleep 1; echo fast", "r");
    struct pollfd commands[2] = { { 0, POLLIN, 0 }, { 0, POLLIN, 0 } };
    int i;
    if (!slow || !fast)
        return 1;
    commands[0].fd = fileno(slow);
    commands[1].fd = fileno(fast);
    while (running > 0 && poll(commands, 2, -1) > 0)
        for (i = 0; i < 2; i++)
            if (commands[i].revents)
                on_readable(&commands[i]);
    pclose(slow);
    pclose(fast);
    return 0;
}
