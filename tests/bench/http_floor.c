/* The least that an HTTP answer costs on this machine: one thread, epoll, one recv and one send a request, nothing looked up.

   http_floor PORT LENGTH: answers every request with LENGTH bytes, or with 304 where it has an If-None-Match. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_EVENTS = 256, MAX_REQUEST = 8192 };

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int port = atoi(argv[1]), length = atoi(argv[2]), yes = 1;
    char *full = malloc(length + 256), known[] = "HTTP/1.1 304 Not Modified\r\nETag: \"0\"\r\n\r\n";
    int head = sprintf(full, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: \"0\"\r\nContent-Length: %d\r\n\r\n", length);
    memset(full + head, 'x', length);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 3;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[MAX_EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client < 0) continue;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = client};
                epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
                continue;
            }
            char request[MAX_REQUEST];
            ssize_t got = recv(fd, request, sizeof request, 0);
            if (got <= 0) {
                close(fd);
                continue;
            }
            int is_known = memmem(request, got, "If-None-Match", 13) != NULL;
            const char *answer = is_known ? known : full;
            if (send(fd, answer, is_known ? (int)sizeof known - 1 : head + length, MSG_NOSIGNAL) < 0) close(fd);
        }
    }
}
