// Preloaded into Redis and Sentinel: the wall clock, moved by as many microseconds as the first eight bytes of the file
// LEASEHOLD_TEST_CLOCK say, read anew at each look, so that a running process sees a step. The monotonic clocks are left
// alone: a step of the system's time doesn't move them either.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t none = 0;
static const volatile int64_t *offset_us;

// Not in a constructor: other libraries' constructors may look at the clock before ours would run.
static int64_t offset(void) {
  if (offset_us == NULL) {
    const char *path = getenv("LEASEHOLD_TEST_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (file >= 0) {
      map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
      close(file);
    }
    offset_us = map == MAP_FAILED ? &none : map;
  }
  return *offset_us;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  // The system call itself: looking up the function that this one hides would allocate, and allocators ask for the time.
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t ns = now->tv_sec * 1000000000LL + now->tv_nsec + offset() * 1000;
  now->tv_sec = ns / 1000000000LL;
  now->tv_nsec = ns % 1000000000LL;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *also) {
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact)) return (time_t)-1;
  if (also != NULL) *also = exact.tv_sec;
  return exact.tv_sec;
}
