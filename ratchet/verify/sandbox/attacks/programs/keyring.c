/* Read the keys that the kernel keeps for a user. */
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
  attempt(syscall(SYS_keyctl, 0, -3, 0), "session keyring");
  attempt(syscall(SYS_keyctl, 0, -4, 0), "user keyring");
  attempt(syscall(SYS_add_key, "user", "ratchet", "x", 1, -3), "add_key");
  attempt(syscall(SYS_request_key, "user", "ratchet", 0, 0), "request_key");
}
