/* What packing does with every voxel besides decompressing it, in one pass each; kernels.py says what arrays these take. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Voxels at a time, so that their centres and sums stay in the first-level cache. */
#define TILE 1024
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

FOR_NEWER_PROCESSORS_TOO
void add_volumes(const int16_t *volumes, ptrdiff_t count, ptrdiff_t voxels, const float *weights, double unit,
                 double origin, int set_centre, double *centre, double *sums)
{
    float c[TILE], total[TILE], with_time[TILE], squares[TILE];
    for (ptrdiff_t start = 0; start < voxels; start += TILE) {
        ptrdiff_t n = voxels - start < TILE ? voxels - start : TILE;
        const int16_t *tile = volumes + start;
        double *centres = centre + start;
        if (set_centre) {
            memset(total, 0, sizeof total);
            for (ptrdiff_t t = 0; t < count; t++)
                for (ptrdiff_t v = 0; v < n; v++)
                    total[v] += weights[3 * t] * tile[t * voxels + v] + weights[3 * t + 1];
            for (ptrdiff_t v = 0; v < n; v++) {
                float mean = total[v] / count;
                centres[v] = (int32_t)(mean + (mean < 0 ? -0.5f : 0.5f)) * unit + origin;
            }
        }
        for (ptrdiff_t v = 0; v < n; v++) {
            c[v] = (float)((centres[v] - origin) / unit);
            total[v] = with_time[v] = squares[v] = 0;
        }
        for (ptrdiff_t t = 0; t < count; t++) {
            const int16_t *x = tile + t * voxels;
            float slope = weights[3 * t], intercept = weights[3 * t + 1], time = weights[3 * t + 2];
            /* The next volumes lie a megabyte apart: no processor foresees that. */
            if (t + 2 < count)
                for (ptrdiff_t v = 0; v < n; v += LINE / (ptrdiff_t)sizeof *x)
                    __builtin_prefetch(x + 2 * voxels + v);
            for (ptrdiff_t v = 0; v < n; v++) {
                float away = slope * x[v] + intercept - c[v];
                total[v] += away;
                with_time[v] += time * away;
                squares[v] += away * away;
            }
        }
        for (ptrdiff_t v = 0; v < n; v++) {
            sums[start + v] += total[v] * unit;
            sums[voxels + start + v] += with_time[v] * unit;
            sums[2 * voxels + start + v] += squares[v] * (unit * unit);
        }
    }
}
