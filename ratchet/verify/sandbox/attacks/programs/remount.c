/* Make the system writable, or take mounts away. */
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
  attempt(mount(0, "/", 0, MS_REMOUNT, 0), "remounted / to write");
  attempt(mount(0, "/usr", 0, MS_REMOUNT | MS_BIND, 0), "remounted /usr to write");
  attempt(mount("tmpfs", "/usr", "tmpfs", 0, 0), "mounted over /usr");
  attempt(mount("proc", "/tmp", "proc", 0, 0), "mounted another /proc");
  attempt(umount2("/proc", MNT_DETACH), "took /proc away");
  attempt(umount2("/tmp", MNT_DETACH), "took /tmp away");
  attempt(syscall(428, -100, "/", 1), "open_tree");
  attempt(syscall(430, "tmpfs", 0), "fsopen");
  attempt(syscall(SYS_pivot_root, ".", "."), "pivot_root");
}
