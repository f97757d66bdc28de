/* What packing and regression do with every voxel, in one pass each; kernels.py says what arrays these take. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Voxels at a time, so that their centres and sums stay in registers. */
#define STRIP 16
/* Values at a time whose sum int32 holds. */
#define SHORT 32768
/* The same for sums in double precision, and the most volumes that are added at a time. */
#define WIDE_STRIP 8
#define MOST_VOLUMES 16
/* Columns of a basis whose products with a strip stay in registers. */
#define TOGETHER 4
/* Voxels at a time, so that they and their coefficients stay in the cache. */
#define CACHED 256
/* Bytes in a cache line, and how far ahead of its writing memory is fetched. */
#define LINE 64
#define AHEAD 2048

#ifdef __x86_64__
#define FOR_NEWER_PROCESSORS_TOO __attribute__((target_clones("avx2", "default")))
#else
#define FOR_NEWER_PROCESSORS_TOO
#endif

void gather(const char *volume, ptrdiff_t voxel_size, const int64_t *segments, ptrdiff_t count, char *out)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        int64_t first = segments[2 * i], end = segments[2 * i + 1];
        size_t size = (size_t)((end - first) * voxel_size);
        for (size_t byte = 0; byte < size; byte += LINE)
            __builtin_prefetch(out + AHEAD + byte, 1);
        memcpy(out, volume + first * voxel_size, size);
        out += size;
    }
}

/* Adds n voxels, beginning with those that the arrays point to, out of `voxels`. */
static inline __attribute__((always_inline)) void add_strip(ptrdiff_t n, const int16_t *volumes, ptrdiff_t count,
                                                            ptrdiff_t voxels, const float *weights, double unit,
                                                            double origin, int set_centre, double *centre, double *sums)
{
    float c[STRIP], total[STRIP] = {0}, with_time[STRIP] = {0}, squares[STRIP] = {0};
    if (set_centre) {
        for (ptrdiff_t t = 0; t < count; t++)
            for (ptrdiff_t v = 0; v < n; v++)
                total[v] += weights[3 * t] * volumes[t * voxels + v] + weights[3 * t + 1];
        for (ptrdiff_t v = 0; v < n; v++) {
            float mean = total[v] / count;
            centre[v] = (int32_t)(mean + (mean < 0 ? -0.5f : 0.5f)) * unit + origin;
            total[v] = 0;
        }
    }
    for (ptrdiff_t v = 0; v < n; v++)
        c[v] = (float)((centre[v] - origin) / unit);
    for (ptrdiff_t t = 0; t < count; t++) {
        const int16_t *x = volumes + t * voxels;
        float slope = weights[3 * t], intercept = weights[3 * t + 1], time = weights[3 * t + 2];
        for (ptrdiff_t v = 0; v < n; v++) {
            float away = slope * x[v] + intercept - c[v];
            total[v] += away;
            with_time[v] += time * away;
            squares[v] += away * away;
        }
    }
    for (ptrdiff_t v = 0; v < n; v++) {
        sums[v] += total[v] * unit;
        sums[voxels + v] += with_time[v] * unit;
        sums[2 * voxels + v] += squares[v] * (unit * unit);
    }
}

FOR_NEWER_PROCESSORS_TOO
void add_volumes(const int16_t *volumes, ptrdiff_t count, ptrdiff_t voxels, const float *weights, double unit,
                 double origin, int set_centre, double *centre, double *sums)
{
    ptrdiff_t v = 0;
    for (; v + STRIP <= voxels; v += STRIP)
        add_strip(STRIP, volumes + v, count, voxels, weights, unit, origin, set_centre, centre + v, sums + v);
    add_strip(voxels - v, volumes + v, count, voxels, weights, unit, origin, set_centre, centre + v, sums + v);
}

/* Rounds to the nearest whole number, halves to even, for |x| < 2^51. */
#define ROUNDED(x) (((x) + 6755399441055744.0) - 6755399441055744.0)

#define QUANTISE(name, type)                                                                                      \
    FOR_NEWER_PROCESSORS_TOO                                                                                      \
    void name(const type *values, ptrdiff_t count, const float *slope, const double *intercept, int16_t *out,     \
              double *error)                                                                                      \
    {                                                                                                             \
        for (ptrdiff_t v = 0; v < count; v++) {                                                                   \
            double away = values[v] - intercept[v], step = slope[v], steps = ROUNDED(away / step);                \
            steps = steps > 32767 ? 32767 : steps < -32768 ? -32768 : steps;                                      \
            out[v] = (int16_t)steps;                                                                              \
            double off = steps * step - away;                                                                     \
            off = off < 0 ? -off : off;                                                                           \
            error[v] = off > error[v] ? off : error[v];                                                           \
        }                                                                                                         \
    }

QUANTISE(quantise_float, float)
QUANTISE(quantise_double, double)

/* Sums the values of each slice, which ends before voxel ends[i]. */
FOR_NEWER_PROCESSORS_TOO
void sum_slices(const int16_t *stored, const int64_t *ends, ptrdiff_t slices, double *sums)
{
    int64_t v = 0;
    for (ptrdiff_t i = 0; i < slices; i++) {
        int64_t sum = 0;
        while (v < ends[i]) {
            int64_t end = ends[i] - v > SHORT ? v + SHORT : ends[i];
            int32_t part = 0;
            for (; v < end; v++)
                part += stored[v];
            sum += part;
        }
        sums[i] = (double)sum;
    }
}

/* The same, of slope[v] * stored[v]. Strips are added side by side, which stay in registers. */
FOR_NEWER_PROCESSORS_TOO
void sum_scaled_slices(const int16_t *stored, const float *slope, const int64_t *ends, ptrdiff_t slices, double *sums)
{
    int64_t v = 0;
    for (ptrdiff_t i = 0; i < slices; i++) {
        double strip[STRIP] = {0}, sum = 0;
        for (; v + STRIP <= ends[i]; v += STRIP)
            for (int s = 0; s < STRIP; s++)
                strip[s] += (double)slope[v + s] * stored[v + s];
        for (; v < ends[i]; v++)
            sum += (double)slope[v] * stored[v];
        for (int s = 0; s < STRIP; s++)
            sum += strip[s];
        sums[i] = sum;
    }
}

/* Adds the products of n voxels with m columns of a basis, beginning with those that the arrays point to. */
static inline __attribute__((always_inline)) void add_columns(ptrdiff_t n, ptrdiff_t m, double away[][WIDE_STRIP],
                                                              ptrdiff_t count, ptrdiff_t voxels, const double *basis,
                                                              ptrdiff_t columns, double *sums)
{
    double product[TOGETHER][WIDE_STRIP] = {{0}};
    for (ptrdiff_t t = 0; t < count; t++)
        for (ptrdiff_t k = 0; k < m; k++)
            for (ptrdiff_t v = 0; v < n; v++)
                product[k][v] += basis[t * columns + k] * away[t][v];
    for (ptrdiff_t k = 0; k < m; k++)
        for (ptrdiff_t v = 0; v < n; v++)
            sums[k * voxels + v] += product[k][v];
}

/* Adds n voxels, beginning with those that the arrays point to, out of `voxels`. */
static inline __attribute__((always_inline)) void add_products_strip(ptrdiff_t n, const int16_t *volumes,
                                                                     ptrdiff_t count, ptrdiff_t voxels,
                                                                     const double *scale, const double *basis,
                                                                     ptrdiff_t columns, const double *centre,
                                                                     double *sums, double *squares)
{
    double away[MOST_VOLUMES][WIDE_STRIP], total[WIDE_STRIP] = {0};
    for (ptrdiff_t t = 0; t < count; t++) {
        const int16_t *x = volumes + t * voxels;
        double slope = scale[2 * t], intercept = scale[2 * t + 1];
        for (ptrdiff_t v = 0; v < n; v++) {
            away[t][v] = slope * x[v] + intercept - centre[v];
            total[v] += away[t][v] * away[t][v];
        }
    }
    for (ptrdiff_t v = 0; v < n; v++)
        squares[v] += total[v];
    ptrdiff_t k = 0;
    for (; k + TOGETHER <= columns; k += TOGETHER)
        add_columns(n, TOGETHER, away, count, voxels, basis + k, columns, sums + k * voxels);
    for (; k < columns; k++)
        add_columns(n, 1, away, count, voxels, basis + k, columns, sums + k * voxels);
}

FOR_NEWER_PROCESSORS_TOO
void add_products(const int16_t *volumes, ptrdiff_t count, ptrdiff_t voxels, ptrdiff_t first, ptrdiff_t end,
                  const double *scale, const double *basis, ptrdiff_t columns, const double *centre, double *sums,
                  double *squares)
{
    ptrdiff_t v = first;
    for (; v + WIDE_STRIP <= end; v += WIDE_STRIP)
        add_products_strip(WIDE_STRIP, volumes + v, count, voxels, scale, basis, columns, centre + v, sums + v,
                           squares + v);
    add_products_strip(end - v, volumes + v, count, voxels, scale, basis, columns, centre + v, sums + v, squares + v);
}

FOR_NEWER_PROCESSORS_TOO
void subtract_products(int16_t *volumes, ptrdiff_t count, ptrdiff_t voxels, const double *scale, const double *basis,
                       ptrdiff_t columns, const float *coefficients, const float *centre, const float *per_unit)
{
    for (ptrdiff_t first = 0; first < voxels; first += CACHED) {
        ptrdiff_t n = voxels - first < CACHED ? voxels - first : CACHED;
        for (ptrdiff_t t = 0; t < count; t++) {
            int16_t *x = volumes + t * voxels + first;
            double slope = scale[2 * t], intercept = scale[2 * t + 1], rest[CACHED];
            for (ptrdiff_t v = 0; v < n; v++)
                rest[v] = slope * x[v] + intercept - centre[first + v];
            for (ptrdiff_t k = 0; k < columns; k++) {
                double weight = basis[t * columns + k];
                const float *coefficient = coefficients + k * voxels + first;
                for (ptrdiff_t v = 0; v < n; v++)
                    rest[v] -= weight * coefficient[v];
            }
            for (ptrdiff_t v = 0; v < n; v++) {
                double steps = ROUNDED(rest[v] * per_unit[first + v]);
                x[v] = (int16_t)(steps > 32767 ? 32767 : steps < -32767 ? -32767 : steps);
            }
        }
    }
}
