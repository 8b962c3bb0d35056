/* A server that does nothing: every HTTP/1.1 request, of any method and size, is answered by the
 * same bytes. One thread, epoll, keep-alive; what a client costs shows against it.
 *
 *     cc -O2 -o http http.c && ./http ANSWER_BYTES        prints its port on 127.0.0.1
 *
 * Requests have a Content-Length or no body; chunked ones are not understood. It ends when its
 * standard input is closed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 16384, BLOCK = 262144, EVENTS = 256 };

struct connection {
    int fd;
    size_t held;    /* bytes of an unfinished head */
    size_t skip;    /* bytes of a body that are still to come */
    size_t owed;    /* answers not yet written */
    size_t written; /* bytes of the first of those */
    char head[HEAD + 1];
};

static char *answer;
static size_t answer_size;
static char block[BLOCK];

static void make_answer(size_t size)
{
    char head[256];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                          "Content-Length: %zu\r\n\r\n", size);
    answer_size = length + size;
    answer = malloc(answer_size);
    memcpy(answer, head, length);
    memset(answer + length, 'x', size);
}

/* Write what is owed. Returns 0 if the connection is lost. */
static int pay(struct connection *c)
{
    while (c->owed) {
        ssize_t sent = send(c->fd, answer + c->written, answer_size - c->written, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        c->written += sent;
        if (c->written < answer_size)
            continue;
        c->written = 0;
        c->owed--;
    }
    return 1;
}

static size_t body_size(char *head)
{
    char *line = strcasestr(head, "\r\ncontent-length:");
    return line ? strtoull(line + 17, NULL, 10) : 0;
}

/* Take what came. Returns 0 if it cannot be a request. */
static int take(struct connection *c, const char *data, size_t size)
{
    while (size) {
        if (c->skip) {
            size_t part = size < c->skip ? size : c->skip;
            c->skip -= part, data += part, size -= part;
            if (!c->skip)
                c->owed++;
            continue;
        }
        size_t old = c->held, part = size < HEAD - old ? size : HEAD - old;
        memcpy(c->head + old, data, part);
        c->held += part;
        c->head[c->held] = 0;
        size_t from = old > 3 ? old - 3 : 0;
        char *end = memmem(c->head + from, c->held - from, "\r\n\r\n", 4);
        if (!end) {
            if (c->held == HEAD)
                return 0;
            return 1;
        }
        size_t used = end + 4 - c->head - old;
        data += used, size -= used;
        end[2] = 0;
        c->skip = body_size(c->head);
        c->held = 0;
        if (!c->skip)
            c->owed++;
    }
    return 1;
}

static int serve(struct connection *c)
{
    for (;;) {
        ssize_t got = recv(c->fd, block, BLOCK, 0);
        if (got == 0)
            return 0;
        if (got < 0)
            return errno == EAGAIN;
        if (!take(c, block, got) || !pay(c))
            return 0;
        if (got < BLOCK)
            return 1;
    }
}

int main(int count, char **words)
{
    make_answer(count > 1 ? strtoull(words[1], NULL, 10) : 64);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (void *)&address, length) || listen(listener, 4096)
        || getsockname(listener, (void *)&address, &length)) {
        perror("null server");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener}, events[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int at = 0; at < ready; at++) {
            if (!events[at].data.ptr)
                return 0; /* whoever started it has gone */
            if (events[at].data.ptr == &listener) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                    struct connection *c = calloc(1, sizeof *c);
                    c->fd = fd;
                    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
                    event.data.ptr = c;
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            struct connection *c = events[at].data.ptr;
            int alive = !(events[at].events & (EPOLLHUP | EPOLLERR));
            if (alive && events[at].events & EPOLLOUT)
                alive = pay(c);
            if (alive && events[at].events & EPOLLIN)
                alive = serve(c);
            if (!alive) {
                close(c->fd);
                free(c);
            }
        }
    }
}
