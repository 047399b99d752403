/* Values between layers are bytes, 0..255, in units of their own for each layer; maps lie one after the other. */

typedef struct {
    int16_t channels, height, width;   /* of the maps that come in */
    int16_t out_height, out_width;     /* of those that go out */
    int16_t rows, columns;             /* of the window that is moved over them */
    int16_t step_y, step_x;            /* by which it is moved */
    int16_t top, left;                 /* how far it begins outside */
} mnistry_window;

static inline uint8_t mnistry_byte(float value) {
    return (uint8_t)(value <= 0.0f ? 0.0f : value >= 255.0f ? 255.0f : value + 0.5f);
}

static inline int32_t mnistry_dot(const uint8_t *values, const int8_t *weights, int count) {
    int32_t sum = 0;
    for (int i = 0; i < count; i++) sum += (int32_t)values[i] * weights[i];
    return sum;
}

/* Convolution, then what is below 0 becomes 0. `patch` has room for what one window covers. */
static inline void mnistry_convolve(const uint8_t *in, uint8_t *out, const mnistry_window *w, int filters,
                                    const int8_t *weights, const float *factors, const float *biases,
                                    uint8_t *patch) {
    const int size = w->out_height * w->out_width;
    const int count = w->channels * w->rows * w->columns;
    for (int pixel = 0; pixel < size; pixel++) {
        const int from_y = pixel / w->out_width * w->step_y - w->top;
        const int from_x = pixel % w->out_width * w->step_x - w->left;
        uint8_t *next = patch;
        for (int channel = 0; channel < w->channels; channel++) {
            for (int y = from_y; y < from_y + w->rows; y++) {
                for (int x = from_x; x < from_x + w->columns; x++) {
                    const int inside = y >= 0 && y < w->height && x >= 0 && x < w->width;
                    *next++ = inside ? in[(channel * w->height + y) * w->width + x] : 0;
                }
            }
        }
        for (int i = 0; i < filters; i++) {
            const int32_t sum = mnistry_dot(patch, weights + i * count, count);
            out[i * size + pixel] = mnistry_byte((float)sum * factors[i] + biases[i]);
        }
    }
}

/* Sums of all inputs, weighted: the scores of the classes. */
static inline void mnistry_score(const uint8_t *in, float *out, int inputs, int outputs,
                                 const int8_t *weights, const float *factors, const float *biases) {
    for (int i = 0; i < outputs; i++) {
        out[i] = (float)mnistry_dot(in, weights + i * inputs, inputs) * factors[i] + biases[i];
    }
}

/* The same of each channel's sum over all places, which lie one after the other, weighted as well. */
static inline void mnistry_score_sums(const uint8_t *in, float *out, int places, int channels, int outputs,
                                      const int8_t *place_weights, const float *place_factors,
                                      const int8_t *weights, const float *factors, const float *biases) {
    for (int i = 0; i < outputs; i++) out[i] = biases[i];
    for (int channel = 0; channel < channels; channel++) {
        int32_t sum = 0;
        for (int place = 0; place < places; place++) {
            sum += (int32_t)in[place * channels + channel] * place_weights[channel * places + place];
        }
        const float value = (float)sum * place_factors[channel];
        for (int i = 0; i < outputs; i++) {
            out[i] += value * (float)weights[i * channels + channel] * factors[i];
        }
    }
}

/* The largest value in each window where `largest` is not 0, otherwise the mean, times a factor. */
static inline void mnistry_pool(const uint8_t *in, uint8_t *out, const mnistry_window *w, int largest,
                                float factor) {
    for (int channel = 0; channel < w->channels; channel++) {
        const uint8_t *map = in + channel * w->height * w->width;
        for (int pixel = 0; pixel < w->out_height * w->out_width; pixel++) {
            const int from_y = pixel / w->out_width * w->step_y - w->top;
            const int from_x = pixel % w->out_width * w->step_x - w->left;
            int32_t sum = 0;
            int count = 0;
            int most = 0;
            for (int y = from_y; y < from_y + w->rows; y++) {
                for (int x = from_x; x < from_x + w->columns; x++) {
                    if (y < 0 || y >= w->height || x < 0 || x >= w->width) continue;
                    const int value = map[y * w->width + x];
                    sum += value;
                    count++;
                    if (value > most) most = value;
                }
            }
            *out++ = mnistry_byte(largest ? (float)most : (float)sum * factor / (float)count);
        }
    }
}

/* The same values with their axes in another order: axis i has sizes[i] values, steps[i] apart in `in`. */
static inline void mnistry_transpose(const uint8_t *in, uint8_t *out, int values, int axes, const int16_t *sizes,
                                     const int16_t *steps) {
    for (int i = 0; i < values; i++) {
        int rest = i;
        int from = 0;
        for (int axis = axes - 1; axis >= 0; axis--) {
            from += rest % sizes[axis] * steps[axis];
            rest /= sizes[axis];
        }
        out[i] = in[from];
    }
}
