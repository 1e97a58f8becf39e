/* Make the system writable, or take mounts away. */
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
