/* SiLU in C, forward and backward, held against an export of handgrad. It is written to be ported: nothing but C99, libc and libm.

     python -m reference export EXPORT silu
     cc -std=c99 -O2 silu.c -lm -o silu
     ./silu EXPORT/silu.safetensors                                 prints r for each case; exit status 1 where one is above 30
     mkdir RESULTS
     ./silu EXPORT/silu.safetensors RESULTS/silu.safetensors        writes the results as well, and these can be judged:
     python -m reference judge EXPORT RESULTS

   README.md in EXPORT says what the files hold and how r is computed. With -DMISTAKE the backward is wrong, which both ways notice.
   The machine must be little-endian, as the files are. */

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LIMIT = 30;
static const double UNIT_ROUNDOFF = FLT_EPSILON / 2.0; /* both stand in the manifest, silu.json, too */

/* The kernel: y = x s and grad_x = grad_y (s + x s (1 - s)), with s = 1 / (1 + exp(-x)).

   Inside, it computes in double. In float, exp(-x) is infinite from x = -89 down, while y is a number until x = -108; and where the
   two terms of the slope cancel, around x = -1.3, their rounding errors remain. Double has digits enough to lose some, and the only
   rounding that matters is the last one, to float. 1 - s is computed as 1 / (1 + exp(x)): as a difference it would lose all digits
   for large x, in double too. Beyond 1000 nothing changes any more, but an infinite x would give infinity times 0, a NaN. */

static float silu(float x)
{
    double s = 1 / (1 + exp(-(double)x));
    return (float)(fmax(x, -1000) * s);
}

static float silu_backward(float grad_y, float x)
{
    double s = 1 / (1 + exp(-(double)x)), rest = 1 / (1 + exp(x));
    double slope = s + fmin(fmax(x, -1000), 1000) * s * rest;
#ifdef MISTAKE
    slope = s; /* as if s did not depend on x */
#endif
    return (float)(grad_y * slope);
}

/* Reading. A file of .safetensors begins with the size of its header, 8 bytes; then comes the header, JSON that says of each array
   {"NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[BEGIN,END]}, ...}; then the data, in which the offsets count. An export has
   no spaces in it, so that a search for the name will do where there is no library that reads JSON. */

struct file {
    char *header;
    unsigned char *data;
    size_t size; /* of the data */
};

struct array {
    int is_double; /* or else float */
    char shape[64];
    size_t count;
    const unsigned char *bytes;
};

static void stop(const char *message, const char *what)
{
    fprintf(stderr, "silu: %s: %s\n", what, message);
    exit(2);
}

static void *grown(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    if (!memory)
        stop("there is not enough memory", "results");
    return memory;
}

static struct file read_file(const char *path)
{
    FILE *stream = fopen(path, "rb");
    if (!stream)
        stop("cannot be opened", path);
    fseek(stream, 0, SEEK_END);
    long size = ftell(stream);
    rewind(stream);
    unsigned char *bytes = grown(NULL, size > 0 ? (size_t)size : 0);
    if (size < 8 || fread(bytes, 1, (size_t)size, stream) != (size_t)size)
        stop("cannot be read", path);
    fclose(stream);

    unsigned long long header_size;
    memcpy(&header_size, bytes, 8);
    if (header_size > (unsigned long long)size - 8)
        stop("is no file of .safetensors", path);
    struct file file = {grown(NULL, (size_t)header_size + 1), bytes + 8 + header_size, (size_t)size - 8 - (size_t)header_size};
    memcpy(file.header, bytes + 8, (size_t)header_size);
    file.header[header_size] = '\0';
    return file;
}

/* The array NUMBER/NAME of a file; 0 where there is none. */
static int find(const struct file *file, int number, const char *name, struct array *array)
{
    char key[64], dtype[8];
    unsigned long begin, end;
    snprintf(key, sizeof key, "\"%d/%s\":{", number, name);
    const char *at = strstr(file->header, key);
    if (!at)
        return 0;
    at += strlen(key);
    array->shape[0] = '\0'; /* a single number has the shape [] */
    if (sscanf(at, "\"dtype\":\"%7[A-Z0-9]\",\"shape\":[%63[0-9,]", dtype, array->shape) < 1)
        stop("has no dtype and shape", key);
    at = strstr(at, "\"data_offsets\":[");
    if (!at || sscanf(at, "\"data_offsets\":[%lu,%lu]", &begin, &end) != 2 || begin > end || end > file->size)
        stop("has no place in the file", key);
    array->is_double = strcmp(dtype, "F64") == 0;
    if (!array->is_double && strcmp(dtype, "F32") != 0)
        stop("is neither float nor double: this example needs an export of float32", key);
    array->count = (end - begin) / (array->is_double ? sizeof(double) : sizeof(float));
    array->bytes = file->data + begin;
    return 1;
}

/* The number of cases: each has a first argument. */
static int count_cases(const struct file *file)
{
    int cases = 0;
    for (const char *at = file->header; (at = strstr(at, "/arguments/0\":")); at++)
        cases++;
    return cases;
}

static struct array expect(const struct file *file, int number, const char *name)
{
    struct array array;
    if (!find(file, number, name, &array))
        stop("is missing in the export", name);
    return array;
}

static double element(const struct array *array, size_t i)
{
    double d;
    float f;
    if (array->is_double) {
        memcpy(&d, array->bytes + i * sizeof d, sizeof d);
        return d;
    }
    memcpy(&f, array->bytes + i * sizeof f, sizeof f);
    return f;
}

/* The largest r of an array. */
static double ratio(const float *got, size_t count, const struct file *file, int number, const char *name)
{
    char of_scale[32];
    snprintf(of_scale, sizeof of_scale, "scales/%s", name);
    struct array truth = expect(file, number, name), scale = expect(file, number, of_scale);
    if (truth.count != count || scale.count != count)
        stop("is of another size", name);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double t = element(&truth, i), r;
        if (isfinite(t) && isfinite(got[i]))
            r = fabs(got[i] - t) / element(&scale, i) / UNIT_ROUNDOFF;
        else
            r = got[i] == t || (isnan(got[i]) && isnan(t)) ? 0 : INFINITY;
        if (r > largest)
            largest = r;
    }
    return largest;
}

/* Writing: header and data grow with each array. */

struct results {
    char *header;
    unsigned char *data;
    size_t header_size, size;
};

static void add(struct results *results, int number, const char *name, const char *shape, const float *values, size_t count)
{
    size_t bytes = count * sizeof *values;
    char entry[256];
    int length = snprintf(entry, sizeof entry, "%s\"%d/%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%lu,%lu]}",
                          results->header_size ? "," : "{", number, name, shape, (unsigned long)results->size,
                          (unsigned long)(results->size + bytes));
    results->header = grown(results->header, results->header_size + (size_t)length);
    memcpy(results->header + results->header_size, entry, (size_t)length);
    results->header_size += (size_t)length;
    results->data = grown(results->data, results->size + bytes);
    memcpy(results->data + results->size, values, bytes);
    results->size += bytes;
}

static void write_file(const struct results *results, const char *path)
{
    FILE *stream = fopen(path, "wb");
    if (!stream)
        stop("cannot be opened", path);
    unsigned long long size = results->header_size + 1;
    fwrite(&size, 8, 1, stream);
    fwrite(results->header, 1, results->header_size, stream);
    fputc('}', stream);
    fwrite(results->data, 1, results->size, stream);
    if (ferror(stream) || fclose(stream) != 0)
        stop("cannot be written", path);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3)
        stop("expected EXPORT/silu.safetensors, and perhaps a file for the results", "usage");
    struct file file = read_file(argv[1]);
    struct results results = {NULL, NULL, 0, 0};
    double worst = 0;
    int cases = count_cases(&file), done = 0;
    if (cases == 0)
        stop("holds no case", argv[1]);

    for (int number = 0; done < cases; number++) {
        struct array x;
        if (!find(&file, number, "arguments/0", &x))
            continue; /* a case that is left out, for a reason that stands in the manifest */
        done++;
        struct array cotangent = expect(&file, number, "cotangents/output");
        if (cotangent.count != x.count)
            stop("is of another size", "cotangents/output");
        float *y = grown(NULL, x.count * sizeof *y), *grad_x = grown(NULL, x.count * sizeof *grad_x);
        for (size_t i = 0; i < x.count; i++) {
            float x_i = (float)element(&x, i);
            y[i] = silu(x_i);
            grad_x[i] = silu_backward((float)element(&cotangent, i), x_i);
        }
        double of_output = ratio(y, x.count, &file, number, "output");
        double of_grad = ratio(grad_x, x.count, &file, number, "grad_0");
        printf("case %2d, %5lu numbers: r of output %-8.3g r of grad_0 %.3g\n", number, (unsigned long)x.count, of_output, of_grad);
        worst = fmax(worst, fmax(of_output, of_grad));
        add(&results, number, "output", x.shape, y, x.count);
        add(&results, number, "grad_0", x.shape, grad_x, x.count);
        free(y);
        free(grad_x);
    }
    if (argc == 3)
        write_file(&results, argv[2]);
    printf("the worst r of %d cases is %.3g, allowed %g\n", cases, worst, LIMIT);
    return worst <= LIMIT ? 0 : 1;
}
