/* Become root of a new user namespace, by each call that makes one. */
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

#include <signal.h>
static int child(void *unused) { return 0; }
int main(void) {
  static char stack[65536];
  attempt(unshare(CLONE_NEWUSER), "unshare user");
  attempt(unshare(CLONE_NEWNS), "unshare mount");
  attempt(unshare(CLONE_NEWNET), "unshare network");
  attempt(clone(child, stack + sizeof stack, CLONE_NEWUSER | SIGCHLD, 0), "clone user");
  attempt(clone(child, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, 0), "clone pid");
  uint64_t arguments[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
  long pid = syscall(SYS_clone3, arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  attempt(pid, "clone3 user");
  int fd = open("/proc/1/ns/mnt", O_RDONLY);
  attempt(fd >= 0 ? setns(fd, 0) : -1, "setns");
}
