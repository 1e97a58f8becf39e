/* Type into the terminal of whoever started this. */
#include <sys/ioctl.h>
int main(void) {
  for (int fd = 0; fd < 3; fd++) attempt(ioctl(fd, TIOCSTI, "x"), "typed a letter");
  int terminal = open("/dev/tty", O_RDWR);
  if (terminal >= 0) { printf("ESCAPED: has a terminal\n"); attempt(ioctl(terminal, TIOCSTI, "x"), "typed into it"); }
}
