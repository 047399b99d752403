/* A network that reads a handwritten digit of 28 x 28 pixels. C99 or C++, no library but math.h, no allocation.
 *
 *     #include "this file"      in one source file of a program
 *     uint8_t image[784];       row by row from the top left, 0 = background, 255 = ink; the digit about
 *                               20 pixels high, its centre of mass in the middle
 *     float probabilities[MNISTRY_CLASSES];
 *     int label = mnistry_read(image, probabilities);
 *
 * Weights: $WEIGHTS bytes. Working memory: $MEMORY bytes, static, so one call at a time.
 *
 * The code was written by mnistry $VERSION. Copyright the mnistry authors.
 * SPDX-License-Identifier: Apache-2.0
 * The weights were learnt from the data named here, whose licence may ask to be named with them (MNIST: by
 * Y. LeCun, C. Cortes and C. J. C. Burges, Creative Commons Attribution-ShareAlike 3.0):
 *
$PROVENANCE
 */
#ifndef MNISTRY_H
#define MNISTRY_H

#include <math.h>
#include <stdint.h>

#define MNISTRY_CLASSES $CLASSES
/* An answer whose probability is smaller is better refused. */
#define MNISTRY_THRESHOLD $THRESHOLD

$KERNELS

$ARRAYS

/* The scores of the classes before they become probabilities. */
static inline void mnistry_logits(const uint8_t image[784], float logits[MNISTRY_CLASSES]) {
    static uint8_t mnistry_values_0[$SIZE_0];
    static uint8_t mnistry_values_1[$SIZE_1];
    static uint8_t patch[$PATCH];
    $CALLS
    (void)mnistry_values_0;
    (void)mnistry_values_1;
    (void)patch;
}

/* The number of the most probable class; fills in the probability of each, 0..1. */
static inline int mnistry_read(const uint8_t image[784], float probabilities[MNISTRY_CLASSES]) {
    int best = 0;
    float total = 0.0f;
    mnistry_logits(image, probabilities);
    for (int i = 1; i < MNISTRY_CLASSES; i++) {
        if (probabilities[i] > probabilities[best]) best = i;
    }
    const float highest = probabilities[best];
    for (int i = 0; i < MNISTRY_CLASSES; i++) {
        probabilities[i] = expf((probabilities[i] - highest) / $TEMPERATURE);
        total += probabilities[i];
    }
    for (int i = 0; i < MNISTRY_CLASSES; i++) probabilities[i] /= total;
    return best;
}

/* What a class is called, in UTF-8. */
static inline const char *mnistry_name(int label) {
    static const char *const names[MNISTRY_CLASSES] = {$NAMES};
    return names[label];
}

#endif
