/* memcmp(3) in words: that of musl goes byte by byte, so that to see that what is free on a disk is
 * zero took more time than to read it.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;
    for (; size >= 4 * sizeof(word); a += 4 * sizeof(word), b += 4 * sizeof(word)) {
        const word *x = (const word *)a, *y = (const word *)b;
        if ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]))
            break;
        size -= 4 * sizeof(word);
    }
    for (; size; a++, b++, size--)
        if (*a != *b)
            return *a - *b;
    return 0;
}
