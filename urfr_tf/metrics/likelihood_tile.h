/* One copy of the kernel for one instruction set. The including file defines

     LANES    floats in a vector register
     ROWS     of a tile
     VECTORS  that the columns of a tile fill
     TILES    that share a group's columns in the first cache
     NAME(x)  the copy's name of x
     STREAM(place, value)  writes a vector past the caches: nobody here reads a score again
     TARGET   the function attribute that allows the instructions

   A tile is ROWS x COLUMNS scores: its products stay in registers over the whole depth of a group. */

#define COLUMNS (VECTORS * LANES)

typedef float NAME(vector) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t NAME(integers) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define V NAME(vector)
#define I NAME(integers)

/* Natural logarithm of normal positive numbers; polynomial of Cephes' logf, right to 1e-7. */
TARGET static inline __attribute__((always_inline)) V NAME(logarithm)(V x)
{
    I bits = (I)x;
    I exponent = (bits >> 23) - 126;
    V m = (V)((bits & 0x007fffff) | 0x3f000000); /* 0.5 ... 1 */
    I low = m < 0.70710678f;                     /* -1 where it is */
    exponent += low;
    m += (V)((I)m & low); /* doubled */
    m -= 1.0f;
    V power = __builtin_convertvector(exponent, V);
    V y = 7.0376836292e-2f * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    V square = m * m;
    y = y * m * square - 2.12194440e-4f * power - 0.5f * square;
    return m + y + 0.693359375f * power;
}

/* One group of one tile: numerator and product go from sum and product of the groups before to those with it. */
TARGET static inline __attribute__((always_inline)) void
NAME(group)(const float *a, const float *b, int64_t width, V *numerator, V *product)
{
    const float *left = a + width * ROWS, *right = b + width * COLUMNS; /* squared norms, then variances */
    V distance[ROWS][VECTORS];
    EVERY(r, ROWS) EVERY(c, VECTORS) distance[r][c] = left[r] + *(const V *)(right + c * LANES);
    for (int64_t d = 0; d < width; d++, a += ROWS, b += COLUMNS)
        EVERY(r, ROWS) EVERY(c, VECTORS) distance[r][c] += a[r] * *(const V *)(b + c * LANES);
    left += ROWS, right += COLUMNS;
    EVERY(r, ROWS) EVERY(c, VECTORS)
    {
        V sum = left[r] + *(const V *)(right + c * LANES);
        V *n = numerator + r * VECTORS + c, *p = product + r * VECTORS + c;
        *n = *n * sum + distance[r][c] * *p;
        *p = *p * sum;
    }
}

/* Rows `first` to `last` against all columns; `left` holds a block of packed rows. */
TARGET static void NAME(scores)(const struct sizes *size, const float *a, const float *va, int64_t first,
                                int64_t last, const float *right, const uint8_t *ends, float constant,
                                int64_t block, float *left, float *scores)
{
    const int64_t groups = size->groups, width = size->width, columns = size->columns;
    const int64_t depth = groups * (width + 2);
    V numerator[TILES * ROWS * VECTORS] LINE, product[TILES * ROWS * VECTORS] LINE, total[TILES * ROWS * VECTORS] LINE;
    for (int64_t start = first; start < last; start += block) {
        int64_t rows = last - start < block ? last - start : block;
        pack(a, va, size, start, start + rows, last, ROWS, -2.0f, left);
        for (int64_t column = 0; column < columns; column += COLUMNS) {
            const float *panel = right + column / COLUMNS * depth * COLUMNS;
            for (int64_t row = 0; row < rows; row += TILES * ROWS) {
                int64_t tiles = (rows - row + ROWS - 1) / ROWS;
                if (tiles > TILES) tiles = TILES;
                const float *mine = left + row * depth;
                for (int64_t i = 0; i < tiles * ROWS * VECTORS; i++) {
                    numerator[i] = (V){0};
                    product[i] = (V){0} + 1.0f;
                    total[i] = (V){0} + constant;
                }
                for (int64_t k = 0; k < groups; k++) {
                    for (int64_t t = 0; t < tiles; t++)
                        NAME(group)
                    (mine + (t * depth + k * (width + 2)) * ROWS, panel + k * (width + 2) * COLUMNS, width,
                     numerator + t * ROWS * VECTORS, product + t * ROWS * VECTORS);
                    if (!ends[k]) continue;
                    for (int64_t i = 0; i < tiles * ROWS * VECTORS; i++) {
                        total[i] += numerator[i] / product[i] + (float)width * NAME(logarithm)(product[i]);
                        numerator[i] = (V){0};
                        product[i] = (V){0} + 1.0f;
                    }
                }
                for (int64_t r = 0; r < tiles * ROWS && row + r < rows; r++) {
                    float *out = scores + (start + row + r) * columns + column;
                    V *line = total + r * VECTORS;
                    for (int c = 0; c < VECTORS; c++) line[c] *= -0.5f;
                    int64_t many = columns - column < COLUMNS ? columns - column : COLUMNS;
                    if (many < COLUMNS || (uintptr_t)out % sizeof(V))
                        memcpy(out, line, (size_t)many * sizeof(float));
                    else
                        for (int c = 0; c < VECTORS; c++) STREAM(out + c * LANES, line[c]);
                }
            }
        }
    }
}

#undef V
#undef I
#undef COLUMNS
#undef ROWS
#undef VECTORS
#undef TILES
#undef LANES
#undef NAME
#undef TARGET
#undef STREAM
