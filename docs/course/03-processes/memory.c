/* A child changes a variable. What does its parent see?
 *
 *     cc docs/course/03-processes/memory.c -o memory && ./memory
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int pages = 1;
    pid_t pid = fork();
    if (pid < 0)
        return perror("fork"), 1;
    if (pid == 0) {
        pages = 100;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("pages: %d\n", pages);
    return 0;
}
