/* All-pairs mutual likelihood (method, section 6) in float32: the product of each group's embeddings and what is
   done with it in one pass, so that no tile of products is written to memory and read again.

     score = -1/2 sum_k [ q_k / v_k + d log v_k ],   q_k = |a|^2 + |b|^2 - 2 a.b,   v_k = va + vb

   A sum of fractions is one fraction: n / p with p = prod v_k and n <- n v_k + q_k p. So a run of groups costs one
   division and one logarithm; the caller cuts the runs where p could leave the range of float32.

   No Python and no library is needed: `likelihood_kernel.py` calls `urfr_*` through ctypes. Every score is made by
   the same operations in the same order, whatever the blocks and the threads. */

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LINE __attribute__((aligned(64))) /* of the cache: an access that crosses two costs twice */

/* Written out, so that the arrays it goes over are registers. */
#define EVERY(i, many) _Pragma("GCC unroll 16") for (int i = 0; i < (many); i++)

struct sizes {
    int64_t columns, groups, width;
    const float *root, *inverse; /* [K]: what embeddings and variances of each group are multiplied by */
};

/* Rows of embeddings [N, K, d] and variances [N, K] -> strips of `strip` rows: for each group [d][strip] numbers
   times `factor`, [strip] squared norms, [strip] variances. The last strip repeats the row before `end`. */
static void pack(const float *x, const float *variance, const struct sizes *size, int64_t first, int64_t last,
                 int64_t end, int64_t strip, float factor, float *packed)
{
    const int64_t groups = size->groups, width = size->width;
    for (int64_t row = first; row < last; row += strip)
        for (int64_t k = 0; k < groups; k++, packed += (width + 2) * strip)
            for (int64_t r = 0; r < strip; r++) {
                int64_t from = row + r < end ? row + r : end - 1;
                const float *group = x + (from * groups + k) * width;
                float square = 0;
                for (int64_t d = 0; d < width; d++) {
                    float number = group[d] * size->root[k];
                    packed[d * strip + r] = factor * number;
                    square += number * number;
                }
                packed[width * strip + r] = square;
                packed[(width + 1) * strip + r] = variance[from * groups + k] * size->inverse[k];
            }
}

#if defined(__x86_64__)
#define LANES 16
#define ROWS 6
#define VECTORS 4
#define TILES 8
#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx2,fma")))
#define STREAM(place, value) _mm512_stream_ps(place, (__m512)(value))
#include "likelihood_tile.h"

#define LANES 8
#define ROWS 6
#define VECTORS 2
#define TILES 8
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define STREAM(place, value) _mm256_stream_ps(place, (__m256)(value))
#include "likelihood_tile.h"
#endif

#define LANES 4
#define ROWS 6
#define VECTORS 2
#define TILES 8
#define NAME(x) x##_plain
#define TARGET
#define STREAM(place, value) (*(V *)(place) = (value))
#include "likelihood_tile.h"

/* Floats in a vector of the widest copy that this processor can run. */
int32_t urfr_lanes(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return 16;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
    return 4;
}

/* Columns of a panel on the right for so many lanes. */
int32_t urfr_columns(int32_t lanes) { return lanes == 16 ? 64 : 2 * lanes; }

/* Panels of columns `first` to `last` (of `size->columns`), at the place of column `first`. */
void urfr_pack(const struct sizes *size, const float *b, const float *vb, int64_t first, int64_t last, int32_t lanes,
               float *packed)
{
    pack(b, vb, size, first, last, size->columns, urfr_columns(lanes), 1.0f, packed);
}

/* Scores [N, columns] of rows `first` to `last` of a against all panels. A run of groups ends where `ends` is 1;
   `left` has room for `block` packed rows, a multiple of 6. */
void urfr_scores(const struct sizes *size, const float *a, const float *va, int64_t first, int64_t last,
                 const float *right, const uint8_t *ends, float constant, int64_t block, int32_t lanes, float *left,
                 float *scores)
{
#if defined(__x86_64__)
    if (lanes == 16) {
        scores_avx512(size, a, va, first, last, right, ends, constant, block, left, scores);
        _mm_sfence(); /* what was streamed is there for the other threads */
        return;
    }
    if (lanes == 8) {
        scores_avx2(size, a, va, first, last, right, ends, constant, block, left, scores);
        _mm_sfence();
        return;
    }
#endif
    scores_plain(size, a, va, first, last, right, ends, constant, block, left, scores);
}
