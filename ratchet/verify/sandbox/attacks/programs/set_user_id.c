/* Gain rights by starting a program that has them. */
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
  const char *programs[] = {"/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/chsh", "/usr/bin/newgrp", 0};
  for (int i = 0; programs[i]; i++) {
    int fd = open("copy", O_CREAT | O_RDWR | O_TRUNC, 0755);
    if (fd >= 0) close(fd);
    if (chmod("copy", 04755) == 0 && chown("copy", 0, 0) == 0) printf("ESCAPED: made a program of root\n");
    if (fork() == 0) {
      execl(programs[i], programs[i], "-c", "id -u", (char *)0);
      _exit(1);
    }
    wait(0);
  }
  printf("no new privileges: %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) printf("ESCAPED: privileges can be gained\n");
}
