/* Make or open the machine's devices. */
#include <sys/sysmacros.h>
int main(void) {
  attempt(mknod("disk", S_IFBLK | 0600, makedev(254, 0)), "made a disk");
  attempt(mknod("memory", S_IFCHR | 0600, makedev(1, 1)), "made the memory");
  attempt(mknod("/dev/kvm", S_IFCHR | 0600, makedev(10, 232)), "made kvm");
  const char *devices[] = {"/dev/vda", "/dev/sda", "/dev/mem", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/console", "/dev/kmsg",
                           "/dev/ptmx", "/dev/shm/../vda", 0};
  for (int i = 0; devices[i]; i++) if (strcmp(devices[i], "/dev/ptmx")) attempt(open(devices[i], O_RDWR), devices[i]);
}
