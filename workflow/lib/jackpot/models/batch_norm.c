/* Batch normalisation, the addition of a shortcut and ReLU in one pass over bfloat16 rows.

   Rows are pixels and columns channels (channels_last), a multiple of 16. Sums are float32 within
   a chunk of rows and double over the chunks, which are the same whatever the number of threads or
   the processor's vector width: built without contraction (a * b + c is rounded twice everywhere),
   the same bits come out. batch_norm.py calls this and says what it computes. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define MOST_CHUNKS 64
#define FEWEST_ROWS 256

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef int16_t shorts __attribute__((vector_size(2 * LANES)));

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(ONE_TARGET)
#define EVERY_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_WIDTH
#endif
#define INLINE static inline __attribute__((always_inline))

/* GOMP_parallel and omp_get_thread_num of the OpenMP library that PyTorch has loaded: a second
   library would have threads of its own, and they would wait for the cores by spinning. */
typedef void (*parallel_call)(void (*)(void *), void *, unsigned, unsigned);
typedef int (*number_call)(void);

typedef struct {
    const uint16_t *x, *shortcut, *gradient; /* rows x channels, bfloat16; shortcut may be NULL */
    uint16_t *y, *to_x, *to_shortcut;        /* y is read on the way back */
    const float *weight, *bias;
    float *running_mean, *running_var, *mean, *inverse_std, *to_weight, *to_bias;
    float *scratch; /* 3 + 3 * MOST_CHUNKS rows of channels */
    ptrdiff_t rows, channels;
    float momentum, eps;
    int relu;
    unsigned threads;
    parallel_call parallel;
    number_call number;
} task;

INLINE floats load(const float *from) {
    floats value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store(float *to, floats value) { memcpy(to, &value, sizeof value); }

INLINE floats widen(halves value) { return (floats)(__builtin_convertvector(value, words) << 16); }

INLINE floats load_half(const uint16_t *from) {
    halves value;
    memcpy(&value, from, sizeof value);
    return widen(value);
}

/* To nearest, ties to even. No NaN of these sums has low bits that the carry could run over:
   those of bfloat16 have none, and plain_nan() lets no other in. */
INLINE void store_half(uint16_t *to, floats value) {
    words bits = (words)value;
    halves rounded = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, halves);
    memcpy(to, &rounded, sizeof rounded);
}

/* The gradient where the output is above zero: the sign of a bfloat16 is that of its integer. */
INLINE floats load_gradient(const task *t, ptrdiff_t at) {
    halves gradient;
    memcpy(&gradient, t->gradient + at, sizeof gradient);
    if (t->relu) {
        shorts output;
        memcpy(&output, t->y + at, sizeof output);
        gradient &= (halves)(output > 0);
    }
    return widen(gradient);
}

INLINE float plain_nan(double value) { return isnan(value) ? NAN : (float)value; }

INLINE ptrdiff_t chunks_of(const task *t) {
    ptrdiff_t chunks = t->rows / FEWEST_ROWS;
    return chunks < 1 ? 1 : chunks > MOST_CHUNKS ? MOST_CHUNKS : chunks;
}

INLINE ptrdiff_t first_row(const task *t, ptrdiff_t chunk) {
    return t->rows * chunk / chunks_of(t);
}

INLINE float *sums_of(const task *t, ptrdiff_t chunk) {
    return t->scratch + 3 * (1 + chunk) * t->channels;
}

/* Of each channel, the first value of the chunk, and sums of differences from it and of squares:
   from near the mean, nothing cancels. */
INLINE void chunk_moments(const task *t, ptrdiff_t from, ptrdiff_t to, float *sums) {
    for (ptrdiff_t c = 0; c < t->channels; c += LANES) {
        floats first = load_half(t->x + from * t->channels + c), sum = {0}, squares = {0};
        for (ptrdiff_t row = from; row < to; row++) {
            floats off = load_half(t->x + row * t->channels + c) - first;
            sum += off;
            squares += off * off;
        }
        store(sums + c, first);
        store(sums + t->channels + c, sum);
        store(sums + 2 * t->channels + c, squares);
    }
}

/* y = relu(x * scale + offset + shortcut) */
INLINE void chunk_outputs(const task *t, ptrdiff_t from, ptrdiff_t to, float *unused) {
    const float *scale = t->scratch, *offset = scale + t->channels;
    for (ptrdiff_t row = from; row < to; row++)
        for (ptrdiff_t c = 0; c < t->channels; c += LANES) {
            ptrdiff_t at = row * t->channels + c;
            floats value = load_half(t->x + at) * load(scale + c) + load(offset + c);
            if (t->shortcut) value += load_half(t->shortcut + at);
            /* NaN is not <= 0, and stays. */
            if (t->relu) value = (floats)((words)value & ~(words)(value <= 0));
            store_half(t->y + at, value);
        }
}

/* Of each channel, the sums of g and g * (x - mean), g the gradient behind ReLU. */
INLINE void chunk_gradients(const task *t, ptrdiff_t from, ptrdiff_t to, float *sums) {
    for (ptrdiff_t c = 0; c < t->channels; c += LANES) {
        floats mean = load(t->mean + c), sum = {0}, product = {0};
        for (ptrdiff_t row = from; row < to; row++) {
            ptrdiff_t at = row * t->channels + c;
            floats gradient = load_gradient(t, at);
            sum += gradient;
            product += gradient * (load_half(t->x + at) - mean);
        }
        store(sums + c, sum);
        store(sums + t->channels + c, product);
    }
}

/* dL/dx = g * scale + (x - mean) * slope + offset, and dL/dshortcut = g. */
INLINE void chunk_inputs(const task *t, ptrdiff_t from, ptrdiff_t to, float *unused) {
    const float *scale = t->scratch, *slope = scale + t->channels, *offset = slope + t->channels;
    for (ptrdiff_t row = from; row < to; row++)
        for (ptrdiff_t c = 0; c < t->channels; c += LANES) {
            ptrdiff_t at = row * t->channels + c;
            floats gradient = load_gradient(t, at);
            store_half(t->to_x + at, gradient * load(scale + c) +
                       (load_half(t->x + at) - load(t->mean + c)) * load(slope + c) +
                       load(offset + c));
            if (t->to_shortcut) store_half(t->to_shortcut + at, gradient);
        }
}

/* One thread's chunks of one of the four passes above. */
#define PASS(name)                                                                              \
    EVERY_WIDTH static void name##_part(const task *t, ptrdiff_t number) {                       \
        ptrdiff_t chunks = chunks_of(t), last = chunks * (number + 1) / t->threads;              \
        for (ptrdiff_t chunk = chunks * number / t->threads; chunk < last; chunk++)              \
            name(t, first_row(t, chunk), first_row(t, chunk + 1), sums_of(t, chunk));            \
    }                                                                                            \
    static void name##_thread(void *t) { name##_part(t, ((task *)t)->number()); }                \
    static void all_##name(task *t) {                                                            \
        if (t->threads > 1)                                                                      \
            t->parallel(name##_thread, t, t->threads, 0);                                        \
        else                                                                                     \
            name##_part(t, 0);                                                                   \
    }

PASS(chunk_moments)
PASS(chunk_outputs)
PASS(chunk_gradients)
PASS(chunk_inputs)

void batch_norm_forward(task *t) {
    ptrdiff_t channels = t->channels;
    float *scale = t->scratch, *offset = scale + channels;
    all_chunk_moments(t);
    for (ptrdiff_t c = 0; c < channels; c++) {
        /* Chan, Golub & LeVeque 1983, eq. 1.5b: moments of the chunks joined one by one. */
        double seen = 0, mean = 0, squares = 0;
        for (ptrdiff_t chunk = 0; chunk < chunks_of(t); chunk++) {
            ptrdiff_t count = first_row(t, chunk + 1) - first_row(t, chunk);
            const float *sums = sums_of(t, chunk);
            double off = sums[channels + c] / (double)count, difference = sums[c] + off - mean;
            squares += sums[2 * channels + c] - off * off * count +
                       difference * difference * seen * count / (seen + count);
            seen += count;
            mean += difference * count / seen;
        }
        double variance = squares < 0 ? 0 : squares / seen;
        t->mean[c] = (float)mean;
        t->inverse_std[c] = (float)(1 / sqrt(variance + t->eps));
        scale[c] = plain_nan((double)t->inverse_std[c] * t->weight[c]);
        offset[c] = plain_nan(t->bias[c] - mean * scale[c]);
        float old = 1 - t->momentum, unbiased = (float)(variance * seen / (seen - 1));
        t->running_mean[c] = old * t->running_mean[c] + t->momentum * (float)mean;
        t->running_var[c] = old * t->running_var[c] + t->momentum * unbiased;
    }
    all_chunk_outputs(t);
}

void batch_norm_backward(task *t) {
    ptrdiff_t channels = t->channels;
    float *scale = t->scratch, *slope = scale + channels, *offset = slope + channels;
    all_chunk_gradients(t);
    for (ptrdiff_t c = 0; c < channels; c++) {
        double sum = 0, product = 0, inverse = t->inverse_std[c];
        for (ptrdiff_t chunk = 0; chunk < chunks_of(t); chunk++) {
            sum += sums_of(t, chunk)[c];
            product += sums_of(t, chunk)[channels + c];
        }
        t->to_bias[c] = (float)sum;
        t->to_weight[c] = (float)(product * inverse);
        /* Ioffe & Szegedy 2015, section 3. */
        double factor = inverse * t->weight[c];
        scale[c] = plain_nan(factor);
        slope[c] = plain_nan(-factor * inverse * inverse * product / t->rows);
        offset[c] = plain_nan(-factor * sum / t->rows);
    }
    all_chunk_inputs(t);
}
