/* vectors.h -- XXH3-64 of bytes i % 251: the test vectors of docs/spec.md */
#ifndef TESTS_SPEC_VECTORS_H
#define TESTS_SPEC_VECTORS_H

/* x(seed, len_bytes, hash) */
#define SPEC_VECTORS(x)                                                                            \
    x(0, 0, 0x2d06800538d394c2) x(1, 8, 0xe7241ac1fdcd24bb) x(2, 56, 0xfed1accc3436530e)           \
        x(5, 64, 0x946962eeec1285b0) x(3, 188, 0xd3ae40f370dab1de) x(6, 240, 0xc8ef621c083b29d9)   \
            x(7, 241, 0xd8f2ad256b03a316) x(4, 4080, 0xa6fef88b37790341)

#endif
