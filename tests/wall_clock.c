/* A wall clock that is off by WALL_CLOCK_OFF_S whole seconds, for the process that preloads this.
   Its other clocks are the machine's. (libfaketime moves the monotonic clock as well, or has
   absolute sleeps on it refused.) What waits for an absolute wall time waits that much longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long off(void) {
    const char *told = getenv("WALL_CLOCK_OFF_S");
    return told ? atol(told) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec read;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &read);
    now->tv_sec = read.tv_sec;
    now->tv_usec = read.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec read;
    clock_gettime(CLOCK_REALTIME, &read);
    if (into) *into = read.tv_sec;
    return read.tv_sec;
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec there = *until;
    there.tv_sec -= off();
    return real(semaphore, &there);
}
