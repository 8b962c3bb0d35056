/* A gRPC server that does nothing: every unary call, of any method and message, is answered by the
 * same message and status 0. One thread, epoll, no TLS; header blocks are not decoded.
 *
 *     cc -O2 -o grpc grpc.c && ./grpc ANSWER_BYTES        prints its port on 127.0.0.1
 *
 * HTTP/2 by RFC 9113: flow control is obeyed both ways, PING and SETTINGS are answered. It ends
 * when its standard input is closed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 262144, EVENTS = 256, FRAME = 16384, PREFACE = 24, STREAMS = 1024 };
enum { DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

struct stream {
    uint32_t id;
    size_t sent;    /* bytes of the answer */
    int64_t window; /* what the client still takes of this stream */
};

struct connection {
    int fd, greeted;
    size_t held, fill, drained; /* bytes of unfinished frames; of the output, and written of it */
    size_t room;
    char *out;
    int64_t window, first_window; /* of the connection, and of each new stream */
    uint64_t received;            /* bytes of data since the last WINDOW_UPDATE */
    size_t waiting;
    struct stream streams[STREAMS]; /* answered in part; updates may come for none of them too */
    char in[BLOCK + 65536];
};

static char *answer;
static size_t answer_size;
/* :status 200, content-type: application/grpc */
static const char OPENING[] = "\x88\x0f\x10\x10" "application/grpc";
/* grpc-status: 0, without indexing */
static const char TRAILERS[] = "\x00\x0b" "grpc-status" "\x01" "0";

static void put(struct connection *c, const void *data, size_t size)
{
    if (c->fill + size > c->room) {
        c->room = (c->fill + size) * 2;
        c->out = realloc(c->out, c->room);
    }
    memcpy(c->out + c->fill, data, size);
    c->fill += size;
}

static void frame(struct connection *c, int kind, int flags, uint32_t stream, const void *data,
                  size_t size)
{
    unsigned char head[9] = {size >> 16, size >> 8, size, kind, flags,
                             stream >> 24, stream >> 16, stream >> 8, stream};
    put(c, head, 9);
    put(c, data, size);
}

static uint32_t number(const char *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

/* Write as much of an answer as both windows let. Returns 1 when it is whole. */
static int go_on(struct connection *c, struct stream *s)
{
    while (s->sent < answer_size) {
        int64_t part = answer_size - s->sent;
        if (part > FRAME) part = FRAME;
        if (part > c->window) part = c->window;
        if (part > s->window) part = s->window;
        if (part <= 0)
            return 0;
        frame(c, DATA, 0, s->id, answer + s->sent, part);
        s->sent += part, s->window -= part, c->window -= part;
    }
    frame(c, HEADERS, END_HEADERS | END_STREAM, s->id, TRAILERS, sizeof TRAILERS - 1);
    return 1;
}

static int reply(struct connection *c, uint32_t id)
{
    struct stream s = {id, 0, c->first_window};
    frame(c, HEADERS, END_HEADERS, id, OPENING, sizeof OPENING - 1);
    if (go_on(c, &s))
        return 1;
    if (c->waiting == STREAMS)
        return 0;
    c->streams[c->waiting++] = s;
    return 1;
}

static void go_on_with_all(struct connection *c)
{
    size_t left = 0;
    for (size_t at = 0; at < c->waiting; at++)
        if (!go_on(c, &c->streams[at]))
            c->streams[left++] = c->streams[at];
    c->waiting = left;
}

static void settings(struct connection *c, const char *data, size_t size)
{
    for (size_t at = 0; at + 6 <= size; at += 6) {
        if (data[at] || data[at + 1] != 4) /* SETTINGS_INITIAL_WINDOW_SIZE */
            continue;
        int64_t window = number(data + at + 2);
        for (size_t each = 0; each < c->waiting; each++)
            c->streams[each].window += window - c->first_window;
        c->first_window = window;
    }
    frame(c, SETTINGS, ACK, 0, "", 0);
    go_on_with_all(c);
}

/* Returns 0 if the connection cannot go on. */
static int understand(struct connection *c, int kind, int flags, uint32_t stream, const char *data,
                      size_t size)
{
    char more[4];
    switch (kind) {
    case DATA:
        c->received += size;
        if (c->received > 1 << 28) {
            uint32_t given = htonl(c->received);
            memcpy(more, &given, 4);
            frame(c, WINDOW, 0, 0, more, 4);
            c->received = 0;
        }
        return flags & END_STREAM ? reply(c, stream) : 1;
    case HEADERS:
        return flags & END_STREAM ? reply(c, stream) : 1;
    case SETTINGS:
        if (!(flags & ACK))
            settings(c, data, size);
        return 1;
    case PING:
        if (!(flags & ACK))
            frame(c, PING, ACK, 0, data, size);
        return 1;
    case WINDOW:
        if (size != 4)
            return 0;
        if (!stream)
            c->window += number(data);
        for (size_t at = 0; stream && at < c->waiting; at++)
            if (c->streams[at].id == stream)
                c->streams[at].window += number(data);
        go_on_with_all(c);
        return 1;
    case RESET:
        for (size_t at = 0; at < c->waiting; at++)
            if (c->streams[at].id == stream)
                c->streams[at] = c->streams[--c->waiting];
        return 1;
    case GOAWAY:
        return 0;
    }
    return 1;
}

static int flush(struct connection *c)
{
    while (c->drained < c->fill) {
        ssize_t sent = send(c->fd, c->out + c->drained, c->fill - c->drained, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        c->drained += sent;
    }
    c->drained = c->fill = 0;
    return 1;
}

static int serve(struct connection *c)
{
    for (;;) {
        ssize_t got = recv(c->fd, c->in + c->held, BLOCK, 0);
        if (got == 0)
            return 0;
        if (got < 0)
            return errno == EAGAIN;
        size_t size = c->held + got, at = 0;
        if (!c->greeted && size >= PREFACE)
            at = PREFACE, c->greeted = 1;
        while (c->greeted && size - at >= 9) {
            unsigned char *head = (unsigned char *)c->in + at;
            size_t length = head[0] << 16 | head[1] << 8 | head[2];
            if (length > FRAME)
                return 0;
            if (size - at < 9 + length)
                break;
            if (!understand(c, head[3], head[4], number((char *)head + 5) & 0x7fffffff,
                            (char *)head + 9, length))
                return 0;
            at += 9 + length;
        }
        c->held = size - at;
        memmove(c->in, c->in + at, c->held);
        if (!flush(c))
            return 0;
        if (got < BLOCK)
            return 1;
    }
}

static struct connection *greet(int fd)
{
    /* SETTINGS_INITIAL_WINDOW_SIZE and the connection's window as large as they can be */
    static const char OURS[] = {0, 4, 0x7f, -1, -1, -1}, REST[] = {0x7f, -1, 0, 0};
    struct connection *c = calloc(1, sizeof *c);
    c->fd = fd, c->window = c->first_window = 65535;
    frame(c, SETTINGS, 0, 0, OURS, sizeof OURS);
    frame(c, WINDOW, 0, 0, REST, sizeof REST);
    flush(c);
    return c;
}

int main(int count, char **words)
{
    size_t size = count > 1 ? strtoull(words[1], NULL, 10) : 64;
    uint32_t prefix = htonl(size);
    answer_size = size + 5;
    answer = calloc(1, answer_size);
    memcpy(answer + 1, &prefix, 4);
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
                    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
                    event.data.ptr = greet(fd);
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            struct connection *c = events[at].data.ptr;
            int alive = !(events[at].events & (EPOLLHUP | EPOLLERR));
            if (alive && events[at].events & EPOLLOUT)
                alive = flush(c);
            if (alive && events[at].events & EPOLLIN)
                alive = serve(c);
            if (!alive) {
                close(c->fd);
                free(c->out);
                free(c);
            }
        }
    }
}
