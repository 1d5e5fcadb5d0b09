/* measured FILE COMMAND...: runs COMMAND and writes to FILE, as JSON, what the kernel says of it. The parent is tiny, so
 * that the peak memory is the child's own: a child that is forked from a large process begins with that one's peak. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: measured FILE COMMAND [ARGUMENT...]\n");
    return 2;
  }
  double begun = now();
  pid_t child = fork();
  if (child == 0) {
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (child < 0 || wait4(child, &status, 0, &usage) < 0) return 2;
  double wall = now() - begun;
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  FILE *file = fopen(argv[1], "w");
  if (!file) return 2;
  fprintf(file, "{\"wall\":%.6f,\"user\":%.6f,\"system\":%.6f,\"peakMB\":%.1f}\n", wall, seconds(usage.ru_utime),
          seconds(usage.ru_stime), usage.ru_maxrss / 1024.0);
  fclose(file);
  return code;
}
