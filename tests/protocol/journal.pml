/* journal.pml -- the protocol of libvmfs/journal as a model that spin searches completely
 *
 * Two threads, each with a lane of its own, commit operations; a checkpointer follows them; nature evicts
 * cache lines and cuts the power whenever it likes, during recovery too. All orders of their steps are
 * tried. After each recovery judge() asks whether the homes are what some set of operations leaves that is
 * closed under the order of locks and has all that returned, and whether a recovery that was cut comes to
 * the same end as one that was not.
 *
 * Every rule stands where the code has it, under the id of its invariant (docs/architecture.md tells the
 * header), as something that a switch NO_... takes away. tests/protocol/run.py runs each scenario with all
 * rules, which must hold, and each rule's scenario without it, which must not.
 *
 * The machine: every word is a line of its own. c[] is what processors see, m[] what a power cut leaves.
 * A store changes c; a fence copies to m what its own process has flushed, or stored past the cache; a cache
 * may write back any line at any moment. Nobody looks at m before the power is off, so a line's fate is
 * decided then, and when it is stored over: the same images as if it were decided at each step, from far
 * fewer states. A watermark line can also be torn, in SCENARIO_DAMAGE the newer one is lost once, and a record
 * is two lines, so one of them may be there without the other.
 *
 * What is small here: 2 lanes of SLOTS records, 5 words of homes, checks that never collide (a check is the
 * value that it covers), an era that is its own nonce, a record of at most two entries. */

/* What an operation does, and to which homes. */
#define OP(kind, first, second) ((kind) << 6 | (first) << 3 | (second))
#define NONE    0                /* nothing to do */
#define META    1                /* raises the versions of one or two words */
#define BIT     2                /* raises a version and sets its own bit in the shared word */
#define FREE    3                /* raises a version and frees the block */
#define TAKE    4                /* stores data into the free block, then points to it */
#define INPLACE 5                /* stores over logged bytes without a record */

/* The homes. */
#define X 0                      /* words under locks of their own; in "blocks" X counts 1 when the first */
#define Y 1                      /* file has given up the block, and Y when the second file has it */
#define Z 2
#define B 3                      /* the bitmap word; bit 0: the block is in use */
#define D 4                      /* the block */
#define HOMES   5
#define NOWHERE 7

#define SLOTS_ALL   (2 * SLOTS)
#define HEADER(slot)  (HOMES + 2 * (slot))
#define PAYLOAD(slot) (HOMES + 2 * (slot) + 1)
#define LINE(copy)    (HOMES + 2 * SLOTS_ALL + (copy))
#define WORDS         (HOMES + 2 * SLOTS_ALL + 2)
#define TORN 0                   /* no check ever fits this */
#define DATA 7                   /* what TAKE stores */
#define OVER 6                   /* what INPLACE stores */

#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef LIVES
#define LIVES 1
#endif
#ifndef CUTS
#define CUTS 3                   /* of the power, altogether */
#endif
#ifndef SLICE
#define SLICE 4                  /* records that a checkpoint takes at most */
#endif
#define TURNS 2
#define OPS   (2 * TURNS)        /* of one life */

/* Of each life the operations of thread 0, then of thread 1. */
short script[LIVES * OPS];

inline write_script() {
#if defined(SCENARIO_ORDER)      /* dependent operations on two lanes that wrap */
    script[0] = OP(META, X, Y);
    script[1] = OP(META, X, NOWHERE);
    script[2] = OP(META, X, Z);
    script[3] = OP(META, Z, NOWHERE)
#elif defined(SCENARIO_DEEP)     /* a lane with several records to retire */
    script[0] = OP(META, X, Y);
    script[1] = OP(META, Y, NOWHERE);
    script[2] = OP(META, X, NOWHERE)
#elif defined(SCENARIO_BITS)     /* independent operations that share a word */
    script[0] = OP(BIT, X, B);
    script[2] = OP(BIT, Y, B);
    script[3] = OP(META, Y, NOWHERE)
#elif defined(SCENARIO_BLOCKS)   /* a block with logged bytes is freed and taken for data */
    script[0] = OP(META, Z, D);
    script[1] = OP(FREE, X, B);
    script[2] = OP(TAKE, Y, B)
#elif defined(SCENARIO_INPLACE) || defined(SCENARIO_DAMAGE)  /* logged bytes are overwritten in place */
    script[0] = OP(META, Z, D);
    script[1] = OP(INPLACE, D, NOWHERE);
    script[2] = OP(META, X, NOWHERE)
#elif defined(SCENARIO_VIEW)     /* a block is freed and taken by another file while somebody looks at it */
    script[0] = OP(META, Z, NOWHERE);
    script[1] = OP(FREE, X, B);
    script[2] = OP(TAKE, Y, B)
#elif defined(SCENARIO_LIVES)    /* new records over torn ones */
    script[0] = OP(META, X, Y);
    script[OPS + 0] = OP(META, X, Y);
    script[OPS + 2] = OP(META, Z, NOWHERE)
#elif defined(SCENARIO_FAILURE)  /* a fence fails */
    script[0] = OP(META, X, Y);
    script[2] = OP(META, X, Z);
    script[3] = OP(META, Z, NOWHERE)
#endif
}

/* The machine. */
int c[WORDS], m[WORDS];
int flushed[4];                  /* by process, a bit for each word */
#define CHECKPOINTER 2
#define RECOVERER    3
byte cuts;
bool cut;                        /* the power is off */

/* What is on the medium. A record: the header's check is the payload that it belongs to. */
#define ENTRIES(w1, v1, w2, v2) (1 << 12 | (w1) << 9 | (v1) << 6 | (w2) << 3 | (v2))
#define W1(record) ((record) >> 9 & 7)
#define V1(record) ((record) >> 6 & 7)
#define W2(record) ((record) >> 3 & 7)
#define V2(record) ((record) & 7)
#define SEAL(era, seq, named, record) ((era) << 19 | (seq) << 16 | (named) << 13 | (record))
#define ERA(header)   ((header) >> 19)
#define SEQ(header)   ((header) >> 16 & 7)
#define NAMED(header) ((header) >> 13 & 7)
#define CHECK(header) ((header) & 8191)
#define WATERMARK(era, mark) ((era) << 3 | (mark))

/* H14: what a record of an earlier era says counts for nothing. */
#ifdef NO_H14
#define NONCE 1
#else
#define NONCE era
#endif

/* What the library keeps in memory. */
byte sequence, watermark, era, line_copy, pin;
byte lower;                      /* the watermark that both lines have */
bool is_checkpointing;           /* somebody has the checkpoint lock */
byte mark[2];                    /* by lane: 0, or a lower bound of the number in flight */
byte ring[SLOTS_ALL];            /* by slot: the number of its record, 0 when released */
byte write_at[2];                /* by lane */
bool lock[HOMES];
byte image;                      /* the number of the last record with bytes of D */
byte freeing;                    /* the number of the record that freed the block, until W has passed it */
bool poisoned, has_failed;
#ifdef NO_H11
bool is_freed_early;
#endif
#ifdef NO_H6
int view[HOMES];
#define VIEW(word) view[word]
#else
#define VIEW(word) c[word]
#endif

/* What judge() knows: nothing of this decides a step. */
int asked[OPS];                  /* the record of each operation of this life that has begun */
bool returned[OPS];
byte in_place;                   /* 1 when begun, 2 when returned */
byte life;
int base;                        /* the homes at the beginning of this life */
int outcome;                     /* what the first recovery of this life's end must come to, 0: not known */
bool over;
#ifdef SCENARIO_DAMAGE
bool is_damaged, refused;
#endif
bool no_line, line_too_old, twin_records, lost_operation, half_operation, wrong_block, other_outcome, watermark_falls, other_bytes;

#define PACK(a) (1 << 15 | a[X] << 12 | a[Y] << 9 | a[Z] << 6 | a[B] << 3 | a[D])
#define UNPACK(from, word) ((from) >> (12 - 3 * (word)) & 7)
byte e[HOMES], i, k;             /* 0 between steps */

/* H10: what independent operations share is changed by masks. */
#ifdef NO_H10
#define SET_BIT(bit)   (VIEW(B) | 1 << (bit))
#define CLEAR_BIT(bit) (VIEW(B) & ~(1 << (bit)))
#define SHARED(old, value) (value)
#else
#define SET_BIT(bit)   (4 | (bit))
#define CLEAR_BIT(bit) (bit)
#define SHARED(old, value) ((value) & 4 -> (old) | 1 << ((value) & 3) : (old) & ~(1 << (value)))
#endif

#define APPLY(a, record) \
    a[W1(record)] = V1(record); \
    if \
    :: W2(record) == NOWHERE \
    :: W2(record) == B -> a[B] = SHARED(a[B], V2(record)) \
    :: else -> a[W2(record)] = V2(record) \
    fi

inline flush(process, word) {
    flushed[process] = flushed[process] | 1 << (word)
}

inline must_not(happen, condition) {
    happen = condition;
    assert(!happen)
}

/* Before a word changes: what it held has got out by now, or never will. Whoever had flushed it has the
 * one, or gets the new value in its place. */
inline settle(word) {
    if
    :: c[word] != m[word] ->
        m[word] = c[word];
        flushed[0] = flushed[0] & ~(1 << (word));
        flushed[1] = flushed[1] & ~(1 << (word));
        flushed[2] = flushed[2] & ~(1 << (word))
    :: true
    fi
}

/* Past the cache: as if flushed at once. */
inline copy(process, word, value) {
    atomic { settle(word); c[word] = value; flush(process, word) }
}

inline fence(process) {
    d_step {
        for (i : 0 .. WORDS - 1) {
            if :: flushed[process] >> i & 1 -> m[i] = c[i] :: else fi
        }
        flushed[process] = 0;
        i = 0
    }
}

#if defined(NO_H16)
#define IS_STOPPED(process) ((process) == CHECKPOINTER)
#elif defined(NO_H16_CHECKPOINT)
#define IS_STOPPED(process) ((process) != CHECKPOINTER)
#else
#define IS_STOPPED(process) true
#endif

/* H16: after it nothing is known of what was flushed, so nothing may follow. */
inline fail(process) {
    atomic { !has_failed; has_failed = true; flushed[process] = 0; poisoned = IS_STOPPED(process) }
}

#ifdef SCENARIO_FAILURE
#define OR_FAIL(process, then) :: fail(process); then
#define STOP_IF_POISONED \
    if \
    :: poisoned -> goto stopped \
    :: else \
    fi;
#else
#define OR_FAIL(process, then)
#define STOP_IF_POISONED
#endif

/* They leave one after the other, which makes no difference but fewer states. */
#define POWER_CUT cut && _nr_pr == _pid + 1

/* A thread and its lane: tx.c. The number of an operation is its place in the script. */
#define MINE         script[life * OPS + t * TURNS + turn]
#define KIND         (MINE >> 6)
#define FIRST        (MINE >> 3 & 7)
#define SECOND       (MINE & 7)
#define IS_TWO_LOCKS (KIND == META && SECOND != NOWHERE)
#define SELF         (t * TURNS + turn)
#define PLACE        (t * SLOTS + (IS_EMPTY -> 0 : write_at[t]))
#if SLOTS == 1
#define IS_EMPTY     (!ring[t])
#else
#define IS_EMPTY     (!ring[t * 2] && !ring[t * 2 + 1])
#endif

inline take_locks() {
    !lock[FIRST] && (!IS_TWO_LOCKS || !lock[SECOND]);
    lock[FIRST] = true;
    if :: IS_TWO_LOCKS -> lock[SECOND] = true :: else fi
}

inline release_locks() {
    lock[FIRST] = false;
    if :: IS_TWO_LOCKS -> lock[SECOND] = false :: else fi
}

/* A block is free when its bit says so and it does not cool; in this order, as it begins to cool before its
 * bit is cleared (H2). */
inline take_block() {
#if defined(NO_H2_LOOK)
    !freeing;
    !(c[B] & 1);
#elif defined(NO_H2)
    !(c[B] & 1);
#elif defined(NO_H11)
    !(c[B] & 1) || is_freed_early;
    !freeing;
#else
    !(c[B] & 1);
    !freeing;
#endif
    copy(t, D, DATA);
#ifndef NO_H9
    fence(t)                     /* H9: what a record points to is durable before it is written */
#endif
}

inline build_record() {
    d_step {
        if
        :: KIND == META && SECOND == NOWHERE -> record = ENTRIES(FIRST, VIEW(FIRST) + 1, NOWHERE, 0)
        :: KIND == META && SECOND != NOWHERE ->
            record = ENTRIES(FIRST, VIEW(FIRST) + 1, SECOND, VIEW(SECOND) + 1)
        :: KIND == BIT -> record = ENTRIES(FIRST, VIEW(FIRST) + 1, B, SET_BIT(t + 1))
        :: KIND == FREE -> record = ENTRIES(FIRST, VIEW(FIRST) + 1, B, CLEAR_BIT(0))
        :: KIND == TAKE -> record = ENTRIES(FIRST, VIEW(FIRST) + 1, B, SET_BIT(0))
        fi;
        asked[SELF] = record;
#ifdef NO_H6
        APPLY(view, record);
        release_locks();
#endif
#ifdef NO_H11
        is_freed_early = is_freed_early || KIND == FREE;
#endif
        slot = PLACE
    }
}

/* H8: the mark is visible before the number exists. */
inline take_number() {
#ifdef NO_H8_NUMBER
    d_step { sequence++; number = sequence }
    mark[t] = number;
#else
    low = sequence;
    mark[t] = low + 1;
    d_step { sequence++; number = sequence; low = 0 }
#endif
    assert(sequence < 8)
}

inline settle_homes(record) {
    settle(W1(record));
    if :: W2(record) != NOWHERE -> settle(W2(record)) :: else fi
}

inline store_homes() {
    atomic { settle_homes(record); APPLY(c, record) }
}

inline append_to_ring() {
    d_step {
        ring[slot] = number;
        write_at[t] = (slot + 1) % SLOTS;
        if :: W2(record) == D -> image = number :: else fi
    }
}

inline commit() {
#ifdef NO_H4
    store_homes();
#endif
    take_number();
    atomic {
        copy(t, PAYLOAD(slot), record);
        copy(t, HEADER(slot), SEAL(NONCE, number, watermark, record))
    }
    if
    :: fence(t)                  /* H4, H6: durable from here on */
    OR_FAIL(t, goto failed)
    fi;
    STOP_IF_POISONED
#ifdef NO_H8_HOMES
    mark[t] = 0;
#endif
#ifndef NO_H2_COOL
    freeing = (KIND == FREE -> number : freeing);
#endif
#ifndef NO_H4
    store_homes();
#endif
#ifdef NO_H2_COOL
    freeing = (KIND == FREE -> number : freeing);
#endif
#ifdef NO_H8_RING
    mark[t] = 0;
#endif
    append_to_ring()
}

inline store_in_place() {
    atomic {
#ifndef NO_H3
        watermark >= image;      /* H3: older images of these bytes are never replayed again */
#endif
        settle(D);
        c[D] = OVER;
        flush(t, D);
        in_place = 1
    }
    if
#ifndef NO_S5
    :: image > lower ->          /* S5: either line may be lost */
        atomic {
            !is_checkpointing;
            is_checkpointing = true;
            copy(t, LINE(1 - line_copy), WATERMARK(era, watermark))
        }
        fence(t);
        atomic { lower = watermark; is_checkpointing = false }
#endif
    :: else -> fence(t)
    fi;
    in_place = 2
}

proctype worker(byte t) {
    byte turn, low, number, slot;
    int record;
    {
        do
        :: turn == TURNS || KIND == NONE -> break
        :: else ->
            atomic {
                !ring[PLACE] || poisoned;  /* H7: log space before locks */
                take_locks();
                STOP_IF_POISONED
                if
                :: KIND == INPLACE -> goto in_place_store
                :: KIND == TAKE
                :: else -> build_record(); goto record_built
                fi
            }
            take_block();
            build_record();
record_built:
            commit();
            goto next;
in_place_store:
            store_in_place();
            goto next;
failed:     /* undone in memory, and told so: for all that follow it has not happened */
            STOP_IF_POISONED
            atomic { asked[SELF] = 0; goto undone }
next:       atomic {
                returned[SELF] = true;
undone:         mark[t] = 0;     /* H8 */
#ifndef NO_H6
                release_locks();
#endif
                turn++;
                number = 0;
                slot = 0;
                record = 0
            }
        od;
stopped:    skip
    } unless { POWER_CUT }
}

/* Checkpoints: journal.c. */
inline read_counter() { target = sequence }
inline read_mark(lane) {
    d_step {
        if :: mark[lane] && mark[lane] - 1 < target -> target = mark[lane] - 1 :: else fi
    }
}

/* H23: a pin may ask for less than W. */
#ifdef NO_H23
inline read_pin() { skip }
#else
inline read_pin() {
    d_step { if :: pin && pin - 1 < target -> target = pin - 1 :: else fi }
}
#endif

/* H8: below every number whose homes are not all stored. The counter is read before the marks, and they before
 * the pin (H23). */
inline find_horizon() {
#if defined(NO_H23_ORDER)
    target = 7;
    read_pin();
    target = (target < sequence -> target : sequence);
    read_mark(0);
    read_mark(1);
#elif defined(NO_H8)
    read_counter();
#elif defined(NO_H8_ORDER)
    target = 7;
    read_mark(0);
    read_mark(1);
    target = (target < sequence -> target : sequence);
#else
    read_counter();
    read_mark(0);
    read_mark(1);
    read_pin();
#endif
    target = (target < watermark + SLICE -> target : watermark + SLICE)
}

#if defined(SCENARIO_VIEW) && !defined(NO_H23) && !defined(NO_H23_ORDER) && !defined(NO_H23_FALL)
#define IS_PINNED (pin && pin - 1 <= watermark)
#else
#define IS_PINNED false
#endif

/* Only when W can rise: so a mark that stays leaves somebody waiting for good, and spin finds him. */
#if defined(NO_H8)
#define MAY_RISE true
#else
#define MAY_RISE ((!mark[0] || mark[0] - 1 > watermark) && (!mark[1] || mark[1] - 1 > watermark) && !IS_PINNED)
#endif

/* H5: a fence orders its own process's flushes, so every home is flushed here. */
inline claim(lane) {
    d_step {
        for (i : lane * SLOTS .. lane * SLOTS + SLOTS - 1) {
            if
            :: ring[i] && ring[i] <= target ->
#ifndef NO_H5
                flush(CHECKPOINTER, W1(c[PAYLOAD(i)]));
                if :: W2(c[PAYLOAD(i)]) != NOWHERE -> flush(CHECKPOINTER, W2(c[PAYLOAD(i)])) :: else fi
#else
                skip
#endif
            :: else
            fi
        }
        i = 0
    }
}

inline checkpoint_fence() {
    if :: fence(CHECKPOINTER) OR_FAIL(CHECKPOINTER, skip) fi;
    STOP_IF_POISONED
}

/* S2: copies in turn, so that a torn one leaves its predecessor. */
#ifdef NO_S2
#define NEXT_COPY line_copy
#else
#define NEXT_COPY (1 - line_copy)
#endif

inline release() {
    d_step {
        for (i : 0 .. SLOTS_ALL - 1) {
            ring[i] = (ring[i] <= target -> 0 : ring[i])
        }
        freeing = (freeing <= target -> 0 : freeing);
        i = 0
    }
}

proctype checkpointer() {
    byte target;
    {
end:    do
        :: atomic {
               sequence > watermark && MAY_RISE && !poisoned && !is_checkpointing;
               is_checkpointing = true
           }
            find_horizon();
            if
#ifdef NO_H23_FALL
            :: target != watermark ->
#else
            :: target > watermark ->
#endif
                claim(0);
                claim(1);
#ifndef NO_H12_HOMES
                checkpoint_fence();  /* H12: homes before W */
#endif
                copy(CHECKPOINTER, LINE(NEXT_COPY), WATERMARK(era, target));
#ifdef NO_H12_PUBLISH
                watermark = target;
#endif
#ifdef NO_H12_RELEASE
                release();
#endif
                checkpoint_fence();  /* H12: W before what it releases */
                atomic { must_not(watermark_falls, target < watermark) };
                d_step { lower = watermark; watermark = target; line_copy = NEXT_COPY }
                release()
            :: else
            fi;
            atomic { target = 0; is_checkpointing = false }
        od;
stopped:    skip
    } unless { POWER_CUT }
}

/* Who looks at a file where it lies: view.c. X tells whether the first file still has the block. What is seen at
 * any moment before the pin is dropped is of that file. */
proctype viewer() {
    byte bound;
    bool has_block;
    {
        bound = watermark + 1;       /* W may rise behind this */
#ifdef NO_H23_VISIBLE
        has_block = c[X] == 0;
        pin = bound;
#else
        pin = bound;                 /* H23: visible before the map is read */
        has_block = c[X] == 0;
#endif
        atomic { must_not(other_bytes, has_block && c[D] == DATA) };
        d_step { pin = 0; bound = 0; has_block = false }
    } unless { POWER_CUT }
}

proctype nature() {
end:
    do
    :: d_step { !over && !cut && cuts < CUTS -> cuts++; cut = true }
    od
}

/* Recovery: recover.c. H18: a record counts when the whole of it is there. */
#ifdef NO_H18
#define IS_WHOLE(slot) true
#else
#define IS_WHOLE(slot) (CHECK(c[HEADER(slot)]) == c[PAYLOAD(slot)])
#endif
#define IS_VALID(slot) (c[HEADER(slot)] && ERA(c[HEADER(slot)]) == NONCE && IS_WHOLE(slot))

/* H1: nothing at or below W is ever applied again. */
#ifdef NO_H1
#define RETIRED 0
#else
#define RETIRED watermark
#endif
#define IS_FOUND(slot) (IS_VALID(slot) && SEQ(c[HEADER(slot)]) > RETIRED)

/* Records are applied by number, not as they lie. */
#ifdef NO_ORDER
#define KEY(slot) (RETIRED + 1 + (slot))
#else
#define KEY(slot) SEQ(c[HEADER(slot)])
#endif

/* The record that comes behind `done`; a number that is missing was never durable, and what comes behind it
 * does not depend on it. */
inline find_next() {
    d_step {
        next = 0;
        for (i : 0 .. SLOTS_ALL - 1) {
            if
            :: IS_FOUND(i) && KEY(i) > done && (!next || KEY(i) < next) -> next = KEY(i); at = i
            :: else
            fi
        }
#ifdef NO_GAP
        next = (next > done + 1 -> 0 : next);
#endif
        i = 0
    }
}

/* The newer of the two lines, all of whose era is known by then. */
inline load_line() {
    newest = (c[LINE(1)] > c[LINE(0)] -> 1 : 0);
    must_not(no_line, c[LINE(newest)] == TORN);
    watermark = c[LINE(newest)] & 7;
    era = c[LINE(newest)] >> 3
}

/* A record names the watermark that was durable when it was written: a line below that would be too old,
 * and a region with one is refused. No power cut may lead there, nor to two records of one number; damage may. */
#ifdef SCENARIO_DAMAGE
#define REFUSE(condition) refused = refused || (condition)
#else
#define REFUSE(condition) must_not(line_too_old, condition)
#endif

inline check_found() {
    for (i : 0 .. SLOTS_ALL - 1) {
        REFUSE(IS_VALID(i) && NAMED(c[HEADER(i)]) > watermark);
        for (k : 0 .. SLOTS_ALL - 1) {
            must_not(twin_records, i != k && IS_FOUND(i) && IS_FOUND(k) &&
                     SEQ(c[HEADER(i)]) == SEQ(c[HEADER(k)]))
        }
    }
}

/* What the first recovery after a cut must come to, and every one that is cut itself as well. */
inline foretell() {
    e[X] = c[X]; e[Y] = c[Y]; e[Z] = c[Z]; e[B] = c[B]; e[D] = c[D];
    done = RETIRED;
    do
    :: find_next();
        if :: next -> APPLY(e, c[PAYLOAD(at)]); done = next :: else -> break fi
    od;
    outcome = (outcome -> outcome : PACK(e));
    e[X] = 0; e[Y] = 0; e[Z] = 0; e[B] = 0; e[D] = 0;
    done = RETIRED;
    next = 0;
    at = 0;
    k = 0
}

inline flush_found() {
    d_step {
        for (i : 0 .. SLOTS_ALL - 1) {
            if
            :: IS_FOUND(i) ->
                highest = (SEQ(c[HEADER(i)]) > highest -> SEQ(c[HEADER(i)]) : highest);
                flush(RECOVERER, W1(c[PAYLOAD(i)]));
                if :: W2(c[PAYLOAD(i)]) != NOWHERE -> flush(RECOVERER, W2(c[PAYLOAD(i)])) :: else fi
            :: else
            fi
        }
        i = 0
    }
}

/* The older copy first, so that a torn one leaves the other. */
#ifdef NO_S2_ERA
#define FIRST_COPY newest
#else
#define FIRST_COPY (1 - newest)
#endif

inline begin_era() {
    copy(RECOVERER, LINE(FIRST_COPY), WATERMARK(era + 1, highest));
#ifndef NO_S2_FENCE
    fence(RECOVERER);            /* S2 */
#endif
    copy(RECOVERER, LINE(1 - FIRST_COPY), WATERMARK(era + 1, highest));
#ifndef NO_H22
    fence(RECOVERER);            /* H22: nothing else is stored before */
#endif
}

inline recover() {
    d_step { load_line(); check_found(); foretell(); highest = watermark }
#ifdef SCENARIO_DAMAGE
    if :: refused -> goto refusal :: else fi;
#endif
    do
    :: find_next();
        if
        :: next ->
            atomic { settle_homes(c[PAYLOAD(at)]); APPLY(c, c[PAYLOAD(at)]); done = next }
        :: else -> break
        fi
    od;
    flush_found();
#ifndef NO_H12_RECOVERY
    fence(RECOVERER);            /* H12: homes before W */
#endif
    begin_era();
    d_step { era++; line_copy = newest; watermark = highest; lower = highest; sequence = highest }
#ifdef NO_H14_RESTART
    sequence = 0                 /* H14: numbers go on above the largest applied */
#endif
}

/* An operation took part when its first word is at least what it made of it. All that took part, and no
 * others, make the homes. */
#ifdef SCENARIO_DAMAGE           /* S5: what was stored in place stays, if the region is not refused */
inline judge() {
    must_not(wrong_block, in_place == 2 && c[D] != OVER)
}
#else
inline judge() {
    for (i : X .. D) { e[i] = UNPACK(base, i) }
    for (i : 0 .. OPS - 1) {
        if
        :: asked[i] && c[W1(asked[i])] >= V1(asked[i]) ->
            e[W1(asked[i])] = (e[W1(asked[i])] > V1(asked[i]) -> e[W1(asked[i])] : V1(asked[i]));
            if
            :: W2(asked[i]) == B -> e[B] = SHARED(e[B], V2(asked[i]))
            :: W2(asked[i]) < B || W2(asked[i]) == D ->
                e[W2(asked[i])] = (e[W2(asked[i])] > V2(asked[i]) -> e[W2(asked[i])] : V2(asked[i]))
            :: else
            fi
        :: else -> must_not(lost_operation, asked[i] && returned[i])
        fi
    }
    must_not(half_operation, c[X] != e[X] || c[Y] != e[Y] || c[Z] != e[Z] || c[B] != e[B]);
#ifdef SCENARIO_BLOCKS
    must_not(wrong_block, c[Y] && c[D] != DATA || !c[Y] && !c[X] && c[D] != e[D]);
#else
    must_not(wrong_block, (c[D] != e[D] || in_place == 2) && (c[D] != OVER || !in_place));
#endif
    must_not(other_outcome, PACK(c) != outcome)
}
#endif

/* Of each word the older or the newer value, and nothing of a line that is torn. */
inline lose_power() {
    at = 0;
    do
    :: at == WORDS -> break
    :: at < WORDS -> at++
    :: at < WORDS && c[at] != m[at] -> m[at] = c[at]; at++
    :: at >= LINE(0) && at < WORDS && c[at] != m[at] -> m[at] = TORN; at++
    od;
#ifdef SCENARIO_DAMAGE           /* the newer line is lost, once, to something else */
    if
    :: !is_damaged && m[LINE(0)] != TORN && m[LINE(1)] != TORN ->
        newest = (m[LINE(1)] > m[LINE(0)] -> 1 : 0);
        m[LINE(newest)] = TORN;
        is_damaged = true
    :: true
    fi
#endif
}

inline forget() {
    for (i : 0 .. WORDS - 1) { c[i] = m[i] }
    for (i : 0 .. 3) { flushed[i] = 0 }
    for (i : 0 .. SLOTS_ALL - 1) { ring[i] = 0 }
    for (i : 0 .. HOMES - 1) { lock[i] = false }
    mark[0] = 0; mark[1] = 0; write_at[0] = 0; write_at[1] = 0;
    sequence = 0; watermark = 0; era = 0; line_copy = 0; image = 0; freeing = 0; pin = 0;
    poisoned = false; has_failed = false; cut = false; lower = 0; is_checkpointing = false;
    done = 0; next = 0; at = 0; highest = 0; newest = 0; i = 0
#ifdef NO_H11
    ; is_freed_early = false
#endif
}

inline begin_life() {
    base = PACK(c);
    outcome = 0;
    in_place = 0;
    for (i : 0 .. OPS - 1) { asked[i] = 0; returned[i] = false }
    e[X] = 0; e[Y] = 0; e[Z] = 0; e[B] = 0; e[D] = 0;
    i = 0
#ifdef NO_H6
    ; view[X] = c[X]; view[Y] = c[Y]; view[Z] = c[Z]; view[B] = c[B]; view[D] = c[D]
#endif
}

init {
    byte done, next, at, highest, newest;
    d_step {
        write_script();
        c[B] = 1; m[B] = 1;
        for (i : 0 .. 1) { c[LINE(i)] = WATERMARK(1, 0); m[LINE(i)] = WATERMARK(1, 0) }
        era = 1;
        begin_life()
    }
    run nature();
    do
#ifdef SCENARIO_VIEW
    :: atomic { run worker(0); run worker(1); run checkpointer(); run viewer() };
#else
    :: atomic { run worker(0); run worker(1); run checkpointer() };
#endif
end:    cut;
off:    _nr_pr == 2;
        atomic { lose_power(); d_step { forget() } };
        { recover() } unless { cut -> goto off };
        d_step { judge(); begin_life(); life++; done = 0; next = 0; at = 0; highest = 0; newest = 0 };
        if :: life == LIVES -> break :: else fi
    od;
#ifdef SCENARIO_DAMAGE
refusal:
#endif
    over = true
}
