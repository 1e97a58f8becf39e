/* Become root of a new user namespace, by each call that makes one. */
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
