/* Read shared memory and semaphores of the machine. */
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
  char key[64], value[4096];
  int id = -1;
  while (scanf("%63s %4095[^\n]", key, value) == 2)
    if (!strcmp(key, "shared")) id = atoi(value);
  for (int i = -1; i < 64; i++) {
    char *at = shmat(i < 0 ? id : i, 0, SHM_RDONLY);
    if (at != (void *)-1) printf("ESCAPED: shared memory %d holds %.40s\n", i, at);
  }
  attempt(shmget(0x7261, 0, 0), "found the segment by its key");
}
