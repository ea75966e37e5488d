/* orphans COMMAND...: runs it, and fails if it has left children behind, running or as zombies: those come to the next
 * parent who takes them, which is this one. Linux. */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    pid_t command, other;
    int status = -1, how, left = 0;
    if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return perror("orphans"), 99;
    command = fork();
    if (command == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(99);
    }
    while ((other = waitpid(-1, &how, 0)) > 0) {
        if (other == command)
            status = how;
        else
            left++;
    }
    if (left)
        fprintf(stderr, "orphans: %d children were left behind\n", left);
    return left ? 98 : WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}
