/* Change the clock, the name or the state of the machine. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void attempt(long result, const char *what) {
  if (result >= 0) printf("ESCAPED: %s\n", what);
  else printf("%s: %s\n", what, strerror(errno));
  fflush(stdout);
}

int main(void) {
  struct timeval now;
  gettimeofday(&now, 0);
  now.tv_sec += 3600;
  attempt(settimeofday(&now, 0), "settimeofday");
  struct timespec then = {now.tv_sec, 0};
  attempt(syscall(SYS_clock_settime, 0, &then), "clock_settime");
  attempt(sethostname("x", 1), "sethostname");
  attempt(reboot(0xCD0CCD0C - 1), "reboot");
  struct sched_param first = {50};
  attempt(sched_setscheduler(0, SCHED_FIFO, &first), "real-time priority");
  errno = 0;
  attempt(nice(-10) == -1 && errno ? -1 : 0, "nice");
}
