/* killer LINES COMMAND...: runs it, and kills it when it has written so many lines to its stderr. Fails if it ended before.
 * It cannot get far ahead, however late the kill is: nobody reads more, and the pipe holds one page of memory. Linux. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int ends[2], status = 0, lines = argc > 2 ? atoi(argv[1]) : 0;
    pid_t command;
    char byte;
    if (lines < 1 || pipe(ends) < 0 || fcntl(ends[1], F_SETPIPE_SZ, 4096) < 0)
        return perror("killer"), 2;
    command = fork();
    if (command == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execvp(argv[2], argv + 2);
        _exit(99);
    }
    close(ends[1]);
    while (lines > 0 && read(ends[0], &byte, 1) == 1)
        lines -= byte == '\n';
    kill(command, SIGKILL);
    waitpid(command, &status, 0);
    return !(lines == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
