/* What the compiler calls in a program that has no C library. Loops would be taken for what they are: calls of these. */

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *left, const void *right, size_t size);

void *memcpy(void *to, const void *from, size_t size)
{
    void *out = to;

    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(size)::"memory");
    return to;
}

void *memset(void *to, int value, size_t size)
{
    void *out = to;

    __asm__ volatile("rep stosb" : "+D"(out), "+c"(size) : "a"(value) : "memory");
    return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left;
    const unsigned char *b = right;

    for (; size > 0; --size, ++a, ++b)
        if (*a != *b)
            return *a < *b ? -1 : 1;
    return 0;
}
