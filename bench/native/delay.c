/* delay PORT MS: a line of MS milliseconds one way to PORT on loopback, without a limit of bandwidth.
 * It prints its own port, and ends with its standard input. The TCP handshake is not delayed: each client gets that
 * same present of one round trip. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

typedef struct chunk {
  struct chunk *next;
  int64_t due;
  size_t length, sent;
  int is_end;
  char octets[];
} chunk;

/* One of the two sockets of a line: what waits to be sent to it. */
typedef struct side {
  int fd, closed, blocked;
  struct line *line;
  chunk *head, **tail;
} side;

typedef struct line {
  side sides[2];
  struct line *next, *previous;
  int dead;
} line;

static line lines;
static int epoll;
static int64_t delay;
static char buffer[256 * 1024];

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static void watch(side *s, int operation) {
  uint32_t events = (s->closed ? 0 : EPOLLIN) | (s->blocked ? EPOLLOUT : 0);
  struct epoll_event e = {.events = events, .data.ptr = s};
  epoll_ctl(epoll, operation, s->fd, &e);
}

static void queue(side *to, const char *octets, size_t length, int is_end) {
  chunk *c = malloc(sizeof *c + length);
  if (!c) abort();
  *c = (chunk){.due = now() + delay, .length = length, .is_end = is_end};
  memcpy(c->octets, octets, length);
  *to->tail = c;
  to->tail = &c->next;
}

static void block(side *s, int blocked) {
  if (s->blocked == blocked) return;
  s->blocked = blocked;
  watch(s, EPOLL_CTL_MOD);
}

/* Sends what is due. */
static void drain(side *s, int64_t time) {
  while (s->head && s->head->due <= time) {
    chunk *c = s->head;
    while (c->sent < c->length) {
      ssize_t n = send(s->fd, c->octets + c->sent, c->length - c->sent, MSG_NOSIGNAL);
      if (n < 0) {
        if (errno == EAGAIN) block(s, 1);
        else s->line->dead = 1;
        return;
      }
      c->sent += n;
    }
    if (c->is_end) shutdown(s->fd, SHUT_WR);
    s->head = c->next;
    if (!s->head) s->tail = &s->head;
    free(c);
  }
  block(s, 0);
}

static void begin_side(line *l, int i, int fd) {
  int one = 1;
  side *s = &l->sides[i];
  s->fd = fd;
  s->line = l;
  s->tail = &s->head;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  watch(s, EPOLL_CTL_ADD);
}

static void accept_all(int listener, const struct sockaddr_in *target) {
  int fd;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    int up = socket(AF_INET, SOCK_STREAM, 0);
    line *l = calloc(1, sizeof *l);
    if (!l || connect(up, (const void *)target, sizeof *target)) {
      free(l);
      close(up);
      close(fd);
      continue;
    }
    l->next = lines.next;
    l->previous = &lines;
    lines.next->previous = l;
    lines.next = l;
    begin_side(l, 0, fd);
    begin_side(l, 1, up);
  }
}

static void readable(side *s) {
  side *other = s == &s->line->sides[0] ? &s->line->sides[1] : &s->line->sides[0];
  if (s->closed) {
    s->line->dead |= !s->head && other->closed;
    return;
  }
  ssize_t n = recv(s->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n > 0) return queue(other, buffer, n, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  s->closed = 1;
  watch(s, EPOLL_CTL_MOD);
  queue(other, "", 0, 1);
}

static void end_line(line *l) {
  l->previous->next = l->next;
  l->next->previous = l->previous;
  for (int i = 0; i < 2; i++) {
    close(l->sides[i].fd);
    while (l->sides[i].head) {
      chunk *c = l->sides[i].head;
      l->sides[i].head = c->next;
      free(c);
    }
  }
  free(l);
}

static int64_t next_due(void) {
  int64_t due = now() + SECOND;
  for (line *l = lines.next; l != &lines; l = l->next) {
    for (int i = 0; i < 2; i++) {
      side *s = &l->sides[i];
      if (s->head && !s->blocked && s->head->due < due) due = s->head->due;
    }
  }
  return due;
}

static int listen_on_loopback(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (void *)&address, sizeof address) || listen(listener, 256)) {
    perror("listen");
    exit(1);
  }
  getsockname(listener, (void *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: delay PORT MS\n");
    return 2;
  }
  struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  target.sin_port = htons(atoi(argv[1]));
  delay = (int64_t)(atof(argv[2]) * 1e6);
  signal(SIGPIPE, SIG_IGN);
  lines.next = lines.previous = &lines;
  epoll = epoll_create1(0);
  int listener = listen_on_loopback();
  struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener};
  struct epoll_event on_input = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &on_listener);
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &on_input);
  for (;;) {
    int64_t time = now(), due = next_due(), wait = due > time ? due - time : 0;
    struct timespec timeout = {wait / SECOND, wait % SECOND};
    struct epoll_event events[256];
    int n = epoll_pwait2(epoll, events, 256, &timeout, 0);
    for (int i = 0; i < n; i++) {
      void *source = events[i].data.ptr;
      if (source == NULL) return 0;
      if (source == &listener) accept_all(listener, &target);
      else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(source);
    }
    time = now();
    for (line *l = lines.next, *next; l != &lines; l = next) {
      next = l->next;
      side *a = &l->sides[0], *b = &l->sides[1];
      drain(a, time);
      drain(b, time);
      if (l->dead || (a->closed && b->closed && !a->head && !b->head)) end_line(l);
    }
  }
}
