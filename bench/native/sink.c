/* An SMTP server that proves delivery instead of storing it: one epoll loop, many connections.
 *
 * Each message is hashed (CRC-32C of its octets after dots are unstuffed, or of the joined BDAT chunks), and the sum over
 * all messages of mix64(crc << 32 | length) is kept: it does not depend on their order, since pools may change that.
 * A line "reset" on standard input zeroes the counts, a line "counts" has them printed as JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

#define READ_SIZE (256 * 1024)
#define LONGEST_COMMAND 4096

enum state { COMMAND, DATA, BDAT, QUIT };
enum line { MIDDLE, START, AFTER_DOT, AFTER_DOT_CR };

typedef struct connection {
  int fd;
  enum state state;
  enum line line;
  int after_cr, in_mail, waits_to_write, handshaking, tls_comes;
  unsigned recipients;
  uint64_t chunk_left;
  int chunk_last, chunk_refused, chunked;
  uint32_t crc;
  uint64_t length;
  SSL *ssl;
  char command[LONGEST_COMMAND];
  size_t command_length;
  char *out;
  size_t out_length, out_capacity, out_sent;
} connection;

static struct {
  uint64_t connections, messages, octets, sum, recipients, reads, writes, errors, handshakes, resumed;
  double cpu;
} counts;

static const char *keywords[64];
static int keyword_count;
static SSL_CTX *tls;
static int implicit_tls;
static int epoll;
static char buffer[READ_SIZE];

static double cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_utime.tv_usec / 1e6 + r.ru_stime.tv_sec + r.ru_stime.tv_usec / 1e6;
}

static uint32_t crc32c(uint32_t crc, const char *p, size_t n) {
#if defined(__SSE4_2__)
  uint64_t wide = crc;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = (uint32_t)wide;
  while (n--) crc = _mm_crc32_u8(crc, (unsigned char)*p++);
#else
  static uint32_t table[256];
  if (!table[1]) {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = c & 1 ? 0x82f63b78 ^ (c >> 1) : c >> 1;
      table[i] = c;
    }
  }
  while (n--) crc = table[(crc ^ (unsigned char)*p++) & 255] ^ (crc >> 8);
#endif
  return crc;
}

static uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

static void put(connection *c, const char *text) {
  size_t n = strlen(text);
  if (c->out_length + n > c->out_capacity) {
    c->out_capacity = (c->out_length + n) * 2 + 1024;
    c->out = realloc(c->out, c->out_capacity);
    if (!c->out) abort();
  }
  memcpy(c->out + c->out_length, text, n);
  c->out_length += n;
}

static void refuse(connection *c, const char *text) {
  counts.errors++;
  put(c, text);
}

static void hash(connection *c, const char *p, size_t n) {
  c->crc = crc32c(c->crc, p, n);
  c->length += n;
}

static void begin_message(connection *c) {
  c->crc = 0xffffffffu;
  c->length = 0;
}

static void reset(connection *c) { c->in_mail = c->recipients = c->chunked = c->chunk_refused = 0; }

static void end_message(connection *c) {
  char text[64];
  uint32_t crc = ~c->crc;
  counts.messages++;
  counts.octets += c->length;
  counts.sum += mix64(((uint64_t)crc << 32) | (uint32_t)c->length);
  snprintf(text, sizeof text, "250 2.0.0 Ok: queued as %08x\r\n", crc);
  put(c, text);
  reset(c);
}

static void greet_back(connection *c) {
  char text[256];
  int starttls = tls && !c->ssl;
  reset(c);
  put(c, "250-sink.example\r\n");
  for (int i = 0; i < keyword_count; i++) {
    snprintf(text, sizeof text, "250%c%s\r\n", i + 1 == keyword_count && !starttls ? ' ' : '-', keywords[i]);
    put(c, text);
  }
  if (starttls) put(c, "250 STARTTLS\r\n");
}

static void begin_chunk(connection *c, const char *arguments) {
  char *rest;
  c->chunk_left = strtoull(arguments, &rest, 10);
  c->chunk_last = strcasestr(rest, "LAST") != NULL;
  c->chunk_refused = !c->recipients;
  if (!c->chunked) begin_message(c);
  c->chunked = 1;
  c->state = BDAT;
}

static void begin_data(connection *c) {
  begin_message(c);
  c->state = DATA;
  c->line = START;
  c->after_cr = 0;
  put(c, "354 go\r\n");
}

/* One complete command, without its CRLF. */
static void command(connection *c, char *line, size_t n) {
  line[n] = 0;
#define IS(verb) (!strncasecmp(line, verb, sizeof verb - 1))
  if (IS("MAIL FROM:")) {
    if (c->in_mail) return refuse(c, "503 5.5.1 nested MAIL\r\n");
    c->in_mail = 1;
    put(c, "250 2.1.0 Ok\r\n");
  } else if (IS("RCPT TO:")) {
    if (!c->in_mail) return refuse(c, "503 5.5.1 need MAIL\r\n");
    c->recipients++;
    counts.recipients++;
    put(c, "250 2.1.5 Ok\r\n");
  } else if (IS("DATA")) {
    if (!c->recipients || c->chunked) return refuse(c, "503 5.5.1 need RCPT\r\n");
    begin_data(c);
  } else if (IS("BDAT ")) {
    begin_chunk(c, line + 5);
  } else if (IS("RSET")) {
    reset(c);
    put(c, "250 2.0.0 Ok\r\n");
  } else if (IS("NOOP")) {
    put(c, "250 2.0.0 Ok\r\n");
  } else if (IS("EHLO")) {
    greet_back(c);
  } else if (IS("QUIT")) {
    put(c, "221 2.0.0 Bye\r\n");
    c->state = QUIT;
  } else if (IS("STARTTLS") && tls && !c->ssl) {
    put(c, "220 2.0.0 go\r\n");
    c->tls_comes = 1;
  } else {
    refuse(c, "500 5.5.2 unknown\r\n");
  }
}

/* Takes octets of a DATA message up to its end and hashes them unstuffed; gives how many it took. */
static size_t data_octets(connection *c, char *p, size_t n) {
  char *begin = p, *end = p + n, *span = p;
  while (p < end) {
    switch (c->line) {
    case START:
      c->line = *p == '.' ? AFTER_DOT : MIDDLE;
      c->after_cr = 0;
      if (c->line == AFTER_DOT) {
        hash(c, span, p - span);
        span = ++p;
      }
      break;
    case AFTER_DOT:
      span = p;
      c->line = *p == '\r' ? AFTER_DOT_CR : MIDDLE;
      c->after_cr = 0;
      if (c->line == AFTER_DOT_CR) span = ++p;
      break;
    case AFTER_DOT_CR:
      if (*p == '\n') {
        c->state = COMMAND;
        end_message(c);
        return p + 1 - begin;
      }
      hash(c, "\r", 1);
      span = p;
      c->line = MIDDLE;
      c->after_cr = 1;
      break;
    case MIDDLE: {
      char *lf = memchr(p, '\n', end - p);
      if (!lf) {
        c->after_cr = end[-1] == '\r';
        p = end;
        break;
      }
      if (lf > p ? lf[-1] == '\r' : c->after_cr) c->line = START;
      p = lf + 1;
      c->after_cr = 0;
    }
    }
  }
  if (c->line == MIDDLE || c->line == START) hash(c, span, end - span);
  return n;
}

static size_t chunk_octets(connection *c, char *p, size_t n) {
  if (n > c->chunk_left) n = c->chunk_left;
  hash(c, p, n);
  c->chunk_left -= n;
  return n;
}

static void end_chunk(connection *c) {
  c->state = COMMAND;
  if (c->chunk_refused) {
    c->chunked = 0;
    refuse(c, "503 5.5.1 need RCPT\r\n");
  } else if (c->chunk_last) {
    end_message(c);
  } else {
    put(c, "250 2.0.0 chunk\r\n");
  }
}

/* Takes octets up to the end of a command line, and the command if it is complete. */
static size_t command_octets(connection *c, char *p, size_t n) {
  char *lf = memchr(p, '\n', n);
  if (lf) n = lf + 1 - p;
  if (c->command_length + n >= LONGEST_COMMAND) {
    refuse(c, "500 5.5.6 too long\r\n");
    c->state = QUIT;
    return n;
  }
  memcpy(c->command + c->command_length, p, n);
  c->command_length += n;
  if (!lf) return n;
  size_t length = c->command_length - 1;
  if (length && c->command[length - 1] == '\r') length--;
  c->command_length = 0;
  command(c, c->command, length);
  return n;
}

static void feed(connection *c, char *p, size_t n) {
  char *end = p + n;
  while (p < end && c->state != QUIT && !c->tls_comes) {
    if (c->state == DATA) p += data_octets(c, p, end - p);
    else if (c->state == BDAT) p += chunk_octets(c, p, end - p);
    else p += command_octets(c, p, end - p);
    if (c->state == BDAT && !c->chunk_left) end_chunk(c);
  }
}

static void watch(connection *c, int operation) {
  struct epoll_event e = {.events = EPOLLIN | (c->waits_to_write ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, operation, c->fd, &e);
}

static void wait_to_write(connection *c, int waits) {
  if (c->waits_to_write == waits) return;
  c->waits_to_write = waits;
  watch(c, EPOLL_CTL_MOD);
}

static void drop(connection *c) {
  if (c->ssl) {
    if (!c->handshaking) SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
  }
  close(c->fd);
  free(c->out);
  free(c);
}

static void begin_tls(connection *c) {
  c->tls_comes = 0;
  reset(c);
  c->ssl = SSL_new(tls);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_accept_state(c->ssl);
  c->handshaking = 1;
}

/* Whether TLS only waits for the socket after an operation that gave `result`. */
static int tls_waits(connection *c, int result) {
  int error = SSL_get_error(c->ssl, result);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Sends what is to be sent; false if the connection is gone. */
static int flush(connection *c) {
  while (c->out_sent < c->out_length) {
    char *p = c->out + c->out_sent;
    size_t n = c->out_length - c->out_sent;
    ssize_t sent = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
    if (sent <= 0) {
      if (c->ssl ? tls_waits(c, (int)sent) : errno == EAGAIN) {
        wait_to_write(c, 1);
        return 1;
      }
      drop(c);
      return 0;
    }
    counts.writes++;
    c->out_sent += sent;
  }
  c->out_sent = c->out_length = 0;
  wait_to_write(c, 0);
  if (c->tls_comes) begin_tls(c);
  if (c->state != QUIT) return 1;
  drop(c);
  return 0;
}

static void greet(connection *c) {
  put(c, "220 sink.example ESMTP\r\n");
  flush(c);
}

/* All that is there, up to the size of the buffer; 0: nothing yet; -1: the connection is over. */
static ssize_t receive(connection *c) {
  if (!c->ssl) {
    ssize_t n = recv(c->fd, buffer, READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    return n > 0 ? n : -1;
  }
  ssize_t have = 0;
  int n = 0;
  while (have < READ_SIZE && (n = SSL_read(c->ssl, buffer + have, (int)(READ_SIZE - have))) > 0) have += n;
  if (have) return have;
  return tls_waits(c, n) ? 0 : -1;
}

static void readable(connection *c) {
  if (c->handshaking) {
    int result = SSL_accept(c->ssl);
    if (result <= 0) {
      if (tls_waits(c, result)) return;
      counts.errors++;
      return drop(c);
    }
    c->handshaking = 0;
    counts.handshakes++;
    counts.resumed += SSL_session_reused(c->ssl);
    if (implicit_tls) return greet(c);
  }
  ssize_t n = receive(c);
  if (n < 0) return drop(c);
  if (n == 0) return;
  counts.reads++;
  feed(c, buffer, n);
  if (c->out_length > c->out_sent) flush(c);
}

static void accept_all(int listener) {
  int fd;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->fd = fd;
    counts.connections++;
    watch(c, EPOLL_CTL_ADD);
    if (implicit_tls) begin_tls(c);
    else greet(c);
  }
}

/* A line on standard input; false at its end, which ends the sink. */
static int control(void) {
  char line[64];
  ssize_t n = read(0, line, sizeof line - 1);
  if (n <= 0) return 0;
  line[n] = 0;
  if (!strcmp(line, "reset\n")) {
    memset(&counts, 0, sizeof counts);
    counts.cpu = cpu();
    printf("{}\n");
  } else {
    printf("{\"connections\":%lu,\"messages\":%lu,\"octets\":%lu,\"sum\":\"%016lx\",\"recipients\":%lu,\"reads\":%lu,"
           "\"writes\":%lu,\"errors\":%lu,\"handshakes\":%lu,\"resumed\":%lu,\"cpu\":%.4f}\n",
           counts.connections, counts.messages, counts.octets, counts.sum, counts.recipients, counts.reads,
           counts.writes, counts.errors, counts.handshakes, counts.resumed, cpu() - counts.cpu);
  }
  fflush(stdout);
  return 1;
}

static int listen_on_loopback(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) {
    perror("listen");
    exit(1);
  }
  getsockname(listener, (void *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void use_certificate(const char *certificate, const char *key) {
  tls = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_id_context(tls, (const unsigned char *)"sink", 4);
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 5) {
    fprintf(stderr, "usage: sink KEYWORD,KEYWORD,... [implicit|starttls CERTIFICATE KEY]\n");
    return 2;
  }
  for (char *word = strtok(argv[1], ","); word && keyword_count < 64; word = strtok(0, ",")) {
    keywords[keyword_count++] = word;
  }
  if (argc == 5) {
    implicit_tls = !strcmp(argv[2], "implicit");
    use_certificate(argv[3], argv[4]);
  }
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_on_loopback();
  struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener};
  struct epoll_event on_input = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &on_listener);
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &on_input);
  for (;;) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      void *source = events[i].data.ptr;
      if (source == NULL) {
        if (!control()) return 0;
      } else if (source == &listener) {
        accept_all(listener);
      } else {
        connection *c = source;
        if (events[i].events & EPOLLOUT && !flush(c)) continue;
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
      }
    }
  }
}
