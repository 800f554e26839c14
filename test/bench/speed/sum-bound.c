// What a machine allows a weighted sum: reads `updates` vectors of float32 numbers and adds them up, as C does it at
// its best. Lines on stdin say what to do; the answer is the CPU time that it took, in milliseconds.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

/** Nothing but reading: eight words at a time. */
static uint64_t read_all(const uint64_t *words, size_t count) {
  uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  for (size_t i = 0; i + 8 <= count; i += 8) {
    a ^= words[i], b ^= words[i + 1], c ^= words[i + 2], d ^= words[i + 3];
    e ^= words[i + 4], f ^= words[i + 5], g ^= words[i + 6], h ^= words[i + 7];
  }
  return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

#define ADD_FOUR(NAME, TYPE)                                                                       \
  static void NAME(TYPE *restrict sum, const float *restrict x, size_t n, TYPE w) {                \
    const float *a = x, *b = x + n, *c = x + 2 * n, *d = x + 3 * n;                                \
    for (size_t i = 0; i < n; i++)                                                                 \
      sum[i] = sum[i] + w * (TYPE)a[i] + w * (TYPE)b[i] + w * (TYPE)c[i] + w * (TYPE)d[i];         \
  }
ADD_FOUR(add_float32, float)
ADD_FOUR(add_float64, double)

int main(int count, char **arguments) {
  if (count != 3) return 2;
  const size_t n = strtoull(arguments[1], NULL, 10), updates = strtoull(arguments[2], NULL, 10);
  float *x = malloc(4 * n * updates);
  double *sum = calloc(n, 8);
  if (x == NULL || sum == NULL) return 3;
  for (size_t i = 0; i < n * updates; i++) x[i] = (float)(i % 1021) * 1e-4f - 0.05f;
  char line[32];
  volatile uint64_t sink = 0;
  while (fgets(line, sizeof line, stdin) != NULL) {
    const double start = cpu_ms();
    if (strcmp(line, "read\n") == 0) {
      sink ^= read_all((const uint64_t *)x, n * updates / 2);
    } else if (strcmp(line, "float32\n") == 0) {
      for (size_t u = 0; u + 4 <= updates; u += 4) add_float32((float *)sum, x + u * n, n, 0.25f);
    } else if (strcmp(line, "float64\n") == 0) {
      for (size_t u = 0; u + 4 <= updates; u += 4) add_float64(sum, x + u * n, n, 0.25);
    } else {
      return 4;
    }
    printf("%.4f\n", cpu_ms() - start);
    fflush(stdout);
  }
  return 0;
}
