/* Become another user, or take capabilities. */
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
  attempt(setuid(0), "setuid 0");
  attempt(setresuid(0, 0, 0), "setresuid 0");
  attempt(setgid(0), "setgid 0");
  gid_t groups[1] = {0};
  attempt(syscall(SYS_setgroups, 1, groups), "setgroups");
  unsigned header[2] = {0x20080522, 0}, all[6] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
  attempt(syscall(SYS_capset, header, all), "capset");
  attempt(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0), "ambient capability");
  struct stat s;
  if (geteuid() == 0) printf("ESCAPED: this is root\n");
}
