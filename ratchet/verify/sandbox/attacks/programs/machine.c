/* Change the clock, the name or the state of the machine. */
int main(void) {
  struct timeval now;
  gettimeofday(&now, 0);
  now.tv_sec += 3600;
  attempt(settimeofday(&now, 0), "settimeofday");
  struct timespec then = {now.tv_sec, 0};
  attempt(syscall(SYS_clock_settime, 0, &then), "clock_settime");
  attempt(sethostname("x", 1), "sethostname");
  attempt(reboot(0xCD0CCD0C - 1), "reboot");
  struct sched_param first = {50};
  attempt(sched_setscheduler(0, SCHED_FIFO, &first), "real-time priority");
  errno = 0;
  attempt(nice(-10) == -1 && errno ? -1 : 0, "nice");
}
