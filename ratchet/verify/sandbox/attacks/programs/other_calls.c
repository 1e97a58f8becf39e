/* Make refused calls by the numbers of another architecture. */
#include <signal.h>
int main(void) {
#ifdef __x86_64__
  if (fork() == 0) {
    long result = 0x40000000L + 101; /* ptrace of x32 */
    __asm__ volatile("syscall" : "+a"(result) : "D"(0L), "S"(0L), "d"(0L) : "rcx", "r11", "memory");
    if (result >= 0) printf("ESCAPED: x32\n");
    _exit(0);
  }
  if (fork() == 0) {
    int result = 310; /* unshare of i386 */
    __asm__ volatile("int $0x80" : "+a"(result) : "b"(0x10000000) : "memory");
    if (result >= 0) printf("ESCAPED: i386\n");
    _exit(0);
  }
  int status;
  while (wait(&status) > 0) printf("ended with %d\n", status);
#endif
}
