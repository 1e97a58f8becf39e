/* Take all the memory of the machine in files that live in memory alone. */
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
  static char part[1 << 20];
  memset(part, 1, sizeof part);
  for (int i = 0; i < 4096; i++) {
    int fd = memfd_create("x", 0);
    for (int j = 0; j < 32; j++)
      if (write(fd, part, sizeof part) != sizeof part) return 1;
    if (i > 64) { printf("ESCAPED: got 2 GB\n"); fflush(stdout); }
  }
}
