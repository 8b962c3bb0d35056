/* A language model that does nothing: every HTTP/1.1 request is answered by a stream of events as a
 * chat completion has them, each with the instant of its own sending. One thread, epoll, keep-alive.
 *
 *     cc -O2 -o sse sse.c && ./sse EVENTS INTERVAL_US BUNCH TICK      prints its port on 127.0.0.1
 *
 * A stream is a head with an event that only names the role, EVENTS events of one token, BUNCH of
 * them in one send each INTERVAL_US, and an end (finish reason, usage, [DONE]). INTERVAL_US 0: all
 * of it in one send. TICK 1: all streams' events are due at the same instants; else each stream has
 * a phase of its own. `sent_ns` is CLOCK_MONOTONIC just before the send.
 *
 * Requests have a Content-Length or no body; nothing in them is looked at, but a GET is answered
 * with {}. It ends when its standard input is closed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 65536, EVENTS = 1024, DIGITS = 19 };

struct connection {
    int fd, open;
    long number;
    size_t held;         /* bytes of an unfinished head */
    size_t skip;         /* bytes of a body that are still to come */
    int streaming, next; /* of the events of a stream */
    int owed;            /* streams that are to follow */
    uint64_t due_ns;
    char *out;           /* what the socket has not taken yet */
    size_t out_size, out_room;
    char head[HEAD + 1];
};

struct piece {
    char *data;
    size_t size, stamp; /* where the stamp stands, 0: nowhere */
};

static int events, bunch, tick;
static uint64_t interval_ns;
static struct piece start, token, end;
static char block[262144], *line;
static struct connection **heap;
static size_t heap_size, heap_room;
static const char *models = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "Content-Length: 2\r\n\r\n{}";

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* One chunk of the body. */
static void add_chunk(struct piece *piece, const char *text)
{
    char size[32];
    int length = snprintf(size, sizeof size, "%zx\r\n", strlen(text));
    piece->data = realloc(piece->data, piece->size + length + strlen(text) + 3);
    char *at = piece->data + piece->size;
    memcpy(at, size, length);
    memcpy(at + length, text, strlen(text));
    memcpy(at + length + strlen(text), "\r\n", 2);
    char *stamp = memmem(at, length + strlen(text), "0000000000000000000", DIGITS);
    if (stamp)
        piece->stamp = stamp - piece->data;
    piece->size += length + strlen(text) + 2;
}

static const char *event(const char *delta, const char *rest)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
             "\"model\":\"null\",\"sent_ns\":\"0000000000000000000\",\"choices\":[{\"index\":0,"
             "\"delta\":%s,\"finish_reason\":%s}\n\n", delta, rest);
    return text;
}

static void make_pieces(void)
{
    const char *head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                       "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    start.size = strlen(head);
    start.data = strdup(head);
    add_chunk(&start, event("{\"role\":\"assistant\",\"content\":\"\"}", "null}]"));
    add_chunk(&token, event("{\"content\":\" token\"}", "null}]"));
    char usage[256];
    snprintf(usage, sizeof usage,
             "\"stop\"}],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%d,"
             "\"total_tokens\":%d}", events, events + 8);
    add_chunk(&end, event("{}", usage));
    add_chunk(&end, "data: [DONE]\n\n");
    end.data = realloc(end.data, end.size + 5);
    memcpy(end.data + end.size, "0\r\n\r\n", 5);
    end.size += 5;
    line = malloc(start.size + events * token.size + end.size);
}

/* Returns 0 if the connection is lost. */
static int flush(struct connection *c)
{
    size_t at = 0;
    while (at < c->out_size) {
        ssize_t sent = send(c->fd, c->out + at, c->out_size - at, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                return 0;
            break;
        }
        at += sent;
    }
    memmove(c->out, c->out + at, c->out_size - at);
    c->out_size -= at;
    return 1;
}

static int put(struct connection *c, const char *data, size_t size)
{
    size_t at = 0;
    while (!c->out_size && at < size) {
        ssize_t sent = send(c->fd, data + at, size - at, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                return 0;
            break;
        }
        at += sent;
    }
    if (at < size) {
        if (c->out_size + size - at > c->out_room) {
            c->out_room = 2 * (c->out_size + size - at);
            c->out = realloc(c->out, c->out_room);
        }
        memcpy(c->out + c->out_size, data + at, size - at);
        c->out_size += size - at;
    }
    return 1;
}

static char *add(char *at, const struct piece *piece)
{
    memcpy(at, piece->data, piece->size);
    return at + piece->size;
}

static void stamp(struct piece *piece, const char *digits)
{
    if (piece->stamp)
        memcpy(piece->data + piece->stamp, digits, DIGITS);
}

/* Send the next events, or all of them. Returns 0 if the connection is lost. */
static int step(struct connection *c, int all)
{
    char digits[DIGITS + 1], *at = line;
    snprintf(digits, sizeof digits, "%019llu", (unsigned long long)now_ns());
    stamp(&start, digits), stamp(&token, digits), stamp(&end, digits);
    if (c->next < 0) {
        at = add(at, &start);
        c->next = 0;
        if (!all)
            return put(c, line, at - line);
    }
    int last = all || c->next + bunch > events ? events : c->next + bunch;
    if (c->next == events && !all)
        last = events;
    int ending = all || c->next == events;
    for (; c->next < last; c->next++)
        at = add(at, &token);
    if (ending) {
        at = add(at, &end);
        c->streaming = 0;
    }
    return put(c, line, at - line);
}

static void heap_push(struct connection *c)
{
    if (heap_size == heap_room) {
        heap_room = heap_room ? 2 * heap_room : 1024;
        heap = realloc(heap, heap_room * sizeof *heap);
    }
    size_t at = heap_size++;
    while (at && heap[(at - 1) / 2]->due_ns > c->due_ns) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = c;
}

static struct connection *heap_pop(void)
{
    struct connection *top = heap[0], *last = heap[--heap_size];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap_size)
            break;
        if (child + 1 < heap_size && heap[child + 1]->due_ns < heap[child]->due_ns)
            child++;
        if (heap[child]->due_ns >= last->due_ns)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* Begin the streams that are owed, as far as they may. Returns 0 if the connection is lost. */
static int begin(struct connection *c)
{
    while (c->owed && !c->streaming) {
        c->owed--;
        c->streaming = 1;
        c->next = -1;
        if (!step(c, !interval_ns))
            return 0;
        if (interval_ns) {
            uint64_t now = now_ns(), phase = c->number * 0.6180339887 * interval_ns;
            phase %= interval_ns;
            c->due_ns = tick ? (now / interval_ns + 1) * interval_ns : now + interval_ns + phase;
            heap_push(c);
        }
    }
    return 1;
}

static size_t body_size(char *head)
{
    char *found = strcasestr(head, "\r\ncontent-length:");
    return found ? strtoull(found + 17, NULL, 10) : 0;
}

/* Take what came. Returns 0 if it cannot be a request, or the connection is lost. */
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
        char *blank = memmem(c->head + from, c->held - from, "\r\n\r\n", 4);
        if (!blank) {
            if (c->held == HEAD)
                return 0;
            break;
        }
        size_t used = blank + 4 - c->head - old;
        data += used, size -= used;
        blank[2] = 0;
        c->skip = body_size(c->head);
        c->held = 0;
        if (!strncmp(c->head, "GET ", 4)) {
            if (!put(c, models, strlen(models)))
                return 0;
        } else if (!c->skip)
            c->owed++;
    }
    return begin(c);
}

static int serve(struct connection *c)
{
    for (;;) {
        ssize_t got = recv(c->fd, block, sizeof block, 0);
        if (got == 0)
            return 0;
        if (got < 0)
            return errno == EAGAIN;
        if (!take(c, block, got))
            return 0;
        if (got < (ssize_t)sizeof block)
            return 1;
    }
}

static void drop(struct connection *c)
{
    if (c->open)
        close(c->fd);
    c->open = 0;
    if (!c->streaming || !interval_ns) { /* else it is in the heap, and freed when it is due */
        free(c->out);
        free(c);
    }
}

/* All that is due. Returns when the next is, 0: nothing. */
static uint64_t run(void)
{
    while (heap_size) {
        if (heap[0]->due_ns > now_ns())
            return heap[0]->due_ns;
        struct connection *c = heap_pop();
        if (!c->open || !step(c, 0)) {
            c->streaming = 0;
            if (c->open)
                shutdown(c->fd, SHUT_RDWR);
            else
                drop(c);
            continue;
        }
        if (c->streaming) {
            c->due_ns += interval_ns;
            heap_push(c);
        } else if (!begin(c))
            shutdown(c->fd, SHUT_RDWR);
    }
    return 0;
}

int main(int count, char **words)
{
    events = count > 1 ? atoi(words[1]) : 64;
    interval_ns = count > 2 ? strtoull(words[2], NULL, 10) * 1000 : 0;
    bunch = count > 3 ? atoi(words[3]) : 1;
    tick = count > 4 && atoi(words[4]);
    make_pieces();
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
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
    int poll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener}, found[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &timer;
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);
    event.data.ptr = NULL;
    epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    long number = 0;
    for (;;) {
        uint64_t next = run(), expired;
        struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        int ready = epoll_wait(poll, found, EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            void *what = found[index].data.ptr;
            if (!what)
                return 0; /* whoever started it has gone */
            if (what == &timer) {
                if (read(timer, &expired, sizeof expired) < 0)
                    continue;
                continue;
            }
            if (what == &listener) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                    struct connection *c = calloc(1, sizeof *c);
                    c->fd = fd, c->open = 1, c->number = number++;
                    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
                    event.data.ptr = c;
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            struct connection *c = what;
            int alive = !(found[index].events & (EPOLLHUP | EPOLLERR));
            if (alive && found[index].events & EPOLLOUT)
                alive = flush(c);
            if (alive && found[index].events & EPOLLIN)
                alive = serve(c);
            if (!alive)
                drop(c);
        }
    }
}
