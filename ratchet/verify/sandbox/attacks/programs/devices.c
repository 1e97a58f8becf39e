/* Make or open the machine's devices. */
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

#include <sys/sysmacros.h>
int main(void) {
  attempt(mknod("disk", S_IFBLK | 0600, makedev(254, 0)), "made a disk");
  attempt(mknod("memory", S_IFCHR | 0600, makedev(1, 1)), "made the memory");
  attempt(mknod("/dev/kvm", S_IFCHR | 0600, makedev(10, 232)), "made kvm");
  const char *devices[] = {"/dev/vda", "/dev/sda", "/dev/mem", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/console", "/dev/kmsg",
                           "/dev/ptmx", "/dev/shm/../vda", 0};
  for (int i = 0; devices[i]; i++) if (strcmp(devices[i], "/dev/ptmx")) attempt(open(devices[i], O_RDWR), devices[i]);
}
