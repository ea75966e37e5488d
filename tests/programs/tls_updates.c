/* A client that asks for new keys again and again, and reads none of the answers. Prints how often it did until it was
 * hung up on; the status is 1 if it never was.
 *     tls_updates PORT TIMES */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), little = 4096;
    long i, times = argc > 2 ? atol(argv[2]) : 0;
    SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
    signal(SIGPIPE, SIG_IGN);
    at.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 || !SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1)
        return 2;
    for (i = 0; i < times; i++)
        if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1)
            break;
    printf("%ld\n", i);
    return i == times;
}
