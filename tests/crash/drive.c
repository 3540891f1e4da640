/* drive.c -- the run without a crash, and the recorded one */
#include "drive.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/handle.h"
#include "script.h"
#include "seed.h"
#include "world.h"

#define THREAD_OP    1u
#define THREAD_OTHER 2u
#define STEP_NS      1000003
#define POISON_BYTE  0xee
#define PIECE_BYTES  65536u
#define STATEMENT    256u

/* What all workloads start from. */
static const char tree_script[] =
    "mkdir /d1 0755; mkdir /d2 0755; mkdir /d2/sub 0755; mkdir /empty 0755; mkdir /o 0755;"
    "put /o/w 0 3000; put /f 0 10000; put /d1/a 0 100; put /d1/b 0 8192; mknod /d1/c 0600;"
    "put /d2/x 0 5000; link /d1/a /d2/al; symlink d1/a /s; symlink a/%150 /d1/long;"
    "mknod /d2/fifo 0010600; xattr /d1/b user.k 20; xattr /d2/x user.big 6000; xattr /d2/x user.k "
    "33";

/* ---- both sides ---- */

static void fail(struct drive *drive, const char *text)
{
    struct explorer *explorer = &drive->crash->explorer;
    if (drive->is_failed)
        return;
    drive->is_failed = true;
    explorer->violation_count++;
    fprintf(stderr, "VIOLATION %s, without a crash: %s\n", drive->label, text);
    if (explorer->is_first)
        exit(1);
}

static int64_t time_of_step(unsigned step)
{
    return CRASH_OP_NOW_NS + (int64_t)step * STEP_NS;
}

/* A write, but an atomic one, and what moves no data around may be cut into words. */
static uint64_t torn_by(const struct drive *drive, const struct op *op)
{
    const struct op_slot *slot = &drive->library.slots[op->slot];
    const struct op_slot *other = &drive->library.slots[op->other_slot];
    bool is_write = op->kind == OP_WRITE || op->kind == OP_WRITE_HERE;
    if (is_write && slot->is_open && !(slot->flags & VMFS_O_ATOMIC))
        return vmfs_file_ino(slot->file);
    if (op->kind == OP_ALLOCATE && slot->is_open &&
        !(op->flags & (VMFS_ALLOC_COLLAPSE | VMFS_ALLOC_INSERT)))
        return vmfs_file_ino(slot->file);
    return op->kind == OP_COPY && other->is_open ? vmfs_file_ino(other->file) : 0;
}

/* Whether a range that has its blocks already changes the times is left open; what happens to access times
 * rests on them. */
static void settle_times(struct drive *drive, const struct op *op)
{
    struct vmfs_stat stat;
    const struct op_slot *slot = &drive->library.slots[op->slot];
    struct model_node *node = drive->model.slots[op->slot].node;
    if (op->kind != OP_ALLOCATE || !slot->is_open || vmfs_file_stat(slot->file, &stat))
        return;
    node->mtime_ns = stat.mtime_ns;
    node->ctime_ns = stat.ctime_ns;
    node->is_mtime_known = node->is_ctime_known = true;
}

static void run_both(struct drive *drive, const struct op *op)
{
    char text[1024];
    op_run_vmfs(op, &drive->library, drive->library_result);
    if (drive->library_result->code == -ENOSPC) {
        if (!op_may_need_space(op))
            fail(drive, "a call that needs no space fails for want of it");
    } else {
        op_run_model(op, &drive->model, drive->library_result->code, drive->model_result);
        if (!op_results_agree(op, drive->library_result, drive->model_result, text, sizeof text))
            fail(drive, text);
    }
    settle_times(drive, op);
}

static void hold_inodes(struct vmfs *fs, bool is_held)
{
    static struct vm_journal_hooks kept;
    struct vm_journal_hooks *hooks = &fs->volume.journal.hooks;
    if (is_held)
        kept = *hooks;
    hooks->ahead = is_held ? NULL : kept.ahead;
}

/* A step that is no operation of op.h, on the library. */
static int64_t run_special(struct drive *drive, const struct step *step)
{
    struct vmfs *fs = drive->library.fs;
    enum step_kind kind = step->kind;
    if (kind == STEP_SYNC)
        return vmfs_sync(fs);
    if (kind == STEP_THREAD)
        drive->crash->live.thread = step->thread;
    if (kind == STEP_THREAD)
        return 0;
    if (kind == STEP_DETACH)
        drive->library.fs = NULL;
    if (kind == STEP_DETACH)
        return vmfs_close(fs);
    hold_inodes(fs, kind == STEP_HOLD);
    return 0;
}

/* The tree as the model has it now, and as the library shows it. */
static void take_tree(struct drive *drive)
{
    char text[512];
    struct oracle *oracle = &drive->oracle;
    const struct tree_keep keep = {.is_all = true};
    if (drive->is_failed || drive->tree_count == DRIVE_TREES_MAX)
        return;
    struct tree **slot = &drive->trees[drive->tree_count++];
    if (!*slot)
        *slot = tree_create();
    if (!tree_expect(*slot, drive->model.model, drive->library.fs, text)) {
        fail(drive, text);
        return;
    }
    oracle_clear(oracle);
    oracle_allow(oracle, *slot);
    tree_look(oracle->found, drive->library.fs, &keep);
    const char *reason = oracle_compare(oracle, oracle->found);
    if (!reason)
        return;
    tree_print_differences(oracle->found, *slot, stderr);
    fail(drive, reason);
}

static struct step *add_step(struct drive *drive, enum step_kind kind)
{
    if (drive->step_count == DRIVE_STEPS_MAX) {
        fprintf(stderr, "drive.c: %s: too many steps\n", drive->label);
        abort();
    }
    struct step *step = &drive->steps[drive->step_count++];
    step->kind = kind;
    step->torn = 0;
    drive->crash->live.now_ns = time_of_step(drive->step_count);
    drive->model.model->now_ns = time_of_step(drive->step_count);
    return step;
}

static bool is_recorded(const struct drive *drive)
{
    return drive->step_count > drive->first;
}

static void do_special(struct drive *drive, enum step_kind kind, unsigned thread, const char *text)
{
    if (drive->is_failed || !drive->library.fs)
        return;
    struct step *step = add_step(drive, kind);
    step->thread = thread;
    snprintf(step->text, sizeof step->text, "%s", text);
    step->code = run_special(drive, step);
    if (step->code < 0)
        fail(drive, text);
    if (kind == STEP_SYNC || kind == STEP_DETACH)
        model_sync(drive->model.model);
    if (is_recorded(drive) && drive->library.fs)
        take_tree(drive);
}

void drive_do(struct drive *drive, const struct op *op)
{
    if (drive->is_failed || !drive->library.fs)
        return;
    struct step *step = add_step(drive, STEP_OP);
    step->op = *op;
    step->torn = torn_by(drive, op);
    op_to_text(op, step->text, sizeof step->text);
    run_both(drive, &step->op);
    step->code = drive->library_result->code;
    if (is_recorded(drive))
        take_tree(drive);
}

/* ---- statements ---- */

static void __attribute__((format(printf, 3, 4)))
say(struct drive *drive, unsigned shift, const char *format, ...)
{
    char text[STATEMENT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    drive_say(drive, text, shift);
}

static unsigned free_slot(const struct drive *drive)
{
    for (unsigned slot = OP_SLOTS; slot-- > 0;)
        if (!drive->library.slots[slot].is_open)
            return slot;
    fprintf(stderr, "drive.c: %s: no slot is free\n", drive->label);
    abort();
}

static void say_put(struct drive *drive, const char *path, uint64_t offset, uint64_t bytes)
{
    unsigned slot = free_slot(drive);
    say(drive, 0, "open %u %s bc 0640", slot, path);
    say(drive, 0, "write %u %llu %llu", slot, (unsigned long long)offset,
        (unsigned long long)bytes);
    say(drive, 0, "close %u", slot);
}

static int64_t last_code(const struct drive *drive)
{
    return drive->step_count > 0 ? drive->steps[drive->step_count - 1].code : 0;
}

static uint64_t free_blocks(const struct drive *drive)
{
    struct vmfs_statfs statfs;
    if (drive->is_failed || vmfs_statfs(drive->library.fs, &statfs))
        return 0;
    return statfs.blocks_free;
}

/* Blocks without content, so that looking at them costs nothing: halves of what is asked for, where the
 * region does not give all. */
static void say_fill(struct drive *drive, uint64_t left)
{
    unsigned slot = free_slot(drive);
    uint64_t at = 0;
    uint64_t step = free_blocks(drive) > left ? free_blocks(drive) - left : 0;
    say(drive, 0, "open %u /fill bc 0600", slot);
    while (step > 0 && !drive->is_failed) {
        uint64_t most = free_blocks(drive) > left ? free_blocks(drive) - left : 0;
        step = step < most ? step : most;
        if (step == 0)
            break;
        say(drive, 0, "allocate %u k %llu %llu", slot, (unsigned long long)at * MODEL_BLOCK,
            (unsigned long long)step * MODEL_BLOCK);
        if (last_code(drive) == 0)
            at += step;
        else
            step /= 2;
    }
    say(drive, 0, "close %u", slot);
}

static void say_fill_leaf(struct drive *drive, const char *dir, uint64_t count)
{
    struct vmfs_stat stat = {0};
    if (!drive->is_failed && vmfs_stat(drive->library.fs, dir, 0, &stat))
        fail(drive, "stat fails");
    for (uint64_t index = stat.size; index < count && !drive->is_failed; index++)
        say(drive, 0, "link /o/w %s/n%llu", dir, (unsigned long long)index);
}

/* No chunk is made ahead of need meanwhile (B1), or there would always be a next one. A slot that was freed
 * in this life may be kept back; then a chunk comes earlier, and it ends behind that. */
static void say_fill_inodes(struct drive *drive)
{
    const struct vm_itable *table = drive->is_failed ? NULL : drive->library.fs->volume.itable;
    uint64_t chunks = table ? atomic_load(&table->chunk_count) : 0;
    do_special(drive, STEP_HOLD, 0, "inode chunks are not made ahead");
    say(drive, 0, "mkdir /many 0700");
    for (unsigned index = 0; !drive->is_failed; index++) {
        struct vmfs_statfs statfs;
        if (vmfs_statfs(drive->library.fs, &statfs) || atomic_load(&table->chunk_count) > chunks ||
            statfs.inodes_used + 1 >= chunks * table->slots_per_chunk)
            break;
        say(drive, 0, "mknod /many/%u 0600", index);
    }
    do_special(drive, STEP_RELEASE, 0, "inode chunks are made ahead");
}

/* Two files that share the free space block by block. */
static void say_interleave(struct drive *drive)
{
    unsigned one = free_slot(drive);
    say(drive, 0, "open %u /d2/one bc 0600", one);
    unsigned two = free_slot(drive);
    say(drive, 0, "open %u /d2/two bc 0600", two);
    int64_t code = 0;
    for (unsigned block = 0; code >= 0 && block < 100 && !drive->is_failed; block++) {
        say(drive, 0, "write %u %u 4096", one, block * 4096);
        code = last_code(drive);
        say(drive, 0, "write %u %u 4096", two, block * 4096);
        code = code < 0 ? code : last_code(drive);
    }
    say(drive, 0, "close %u; close %u", one, two);
}

static void say_spread(struct drive *drive, uint64_t count)
{
    unsigned slot = free_slot(drive);
    say(drive, 0, "open %u /d2/one bc 0600", slot);
    for (unsigned block = 0; block < count && !drive->is_failed; block++)
        say(drive, 0, "write %u %u 4096", slot, 2 * block * 4096);
    say(drive, 0, "close %u", slot);
}

#define LEAF_NAMES 40u

/* Long names, so that a few leaves have few of them. Where a name lies depends on the name alone, so one
 * directory tells at which removal the other will lose a leaf. */
static void say_fill_leaves(struct drive *drive)
{
    unsigned victim = 0;
    say(drive, 0, "mkdir /pilot 0700; mkdir /leaves 0700");
    for (unsigned index = 0; index < LEAF_NAMES; index++)
        say(drive, 0, "link /o/w /pilot/%u%%200; link /o/w /leaves/%u%%200", index, index);
    for (; victim < LEAF_NAMES && !drive->is_failed; victim++) {
        uint64_t before = free_blocks(drive);
        say(drive, 0, "unlink /pilot/%u%%200", victim);
        if (free_blocks(drive) > before)
            break;
    }
    for (unsigned index = 0; index < victim; index++)
        say(drive, 0, "unlink /leaves/%u%%200", index);
    if (victim == LEAF_NAMES)
        fail(drive, "no removal of a name gives back a leaf");
    drive->victim = victim;
}

static uint64_t word(const struct script_words *words, unsigned index)
{
    return index < words->count ? strtoull(words->words[index], NULL, 0) : 0;
}

static bool say_special(struct drive *drive, const struct script_words *words)
{
    const char *verb = words->words[0];
    const char *path = words->count > 1 ? words->words[1] : "";
    if (strcmp(verb, "sync") == 0)
        do_special(drive, STEP_SYNC, 0, verb);
    else if (strcmp(verb, "detach") == 0)
        do_special(drive, STEP_DETACH, 0, verb);
    else if (strcmp(verb, "thread") == 0)
        do_special(drive, STEP_THREAD, (unsigned)word(words, 1), verb);
    else if (strcmp(verb, "put") == 0)
        say_put(drive, path, word(words, 2), word(words, 3));
    else if (strcmp(verb, "fill") == 0)
        say_fill(drive, word(words, 1));
    else if (strcmp(verb, "fill-leaf") == 0)
        say_fill_leaf(drive, path, word(words, 2));
    else if (strcmp(verb, "fill-inodes") == 0)
        say_fill_inodes(drive);
    else if (strcmp(verb, "interleave") == 0)
        say_interleave(drive);
    else if (strcmp(verb, "fragment") == 0)
        drive_say(drive, "interleave; unlink /d2/one", 0);
    else if (strcmp(verb, "fill-leaves") == 0)
        say_fill_leaves(drive);
    else if (strcmp(verb, "drop-leaf") == 0)
        say(drive, 0, "unlink /leaves/%u%%200", drive->victim);
    else if (strcmp(verb, "spread") == 0)
        say_spread(drive, word(words, 1));
    else
        return false;
    return true;
}

static bool has_its_slots(const struct drive *drive, const struct op *op)
{
    const struct op_world *world = &drive->library;
    const struct op_place *places[] = {&op->at, &op->other_at};
    bool has_all = true;
    for (unsigned index = 0; index < 2; index++) {
        if (places[index]->base == OP_BASE_DIR)
            has_all = has_all && world->dirs[places[index]->slot].is_open;
        if (places[index]->base == OP_BASE_FILE)
            has_all = has_all && world->slots[places[index]->slot].is_open;
    }
    if (op->kind == OP_DIR_READ || op->kind == OP_DIR_CLOSE)
        return has_all && world->dirs[op->slot].is_open;
    if (op->kind == OP_COPY)
        has_all = has_all && world->slots[op->other_slot].is_open;
    return has_all && (!op_is_slot_kind(op->kind) || world->slots[op->slot].is_open);
}

void drive_say(struct drive *drive, const char *script, unsigned shift)
{
    static struct op op;
    struct script_words words;
    while (!drive->is_failed && script_next(&script, &words)) {
        if (say_special(drive, &words))
            continue;
        script_parse(&words, shift, shift / 2, ++drive->pattern, &op);
        if (has_its_slots(drive, &op))
            drive_do(drive, &op);
    }
}

/* ---- the regions ---- */

/* A root in which nothing was done yet, on both sides. */
static void begin_sides(struct drive *drive, struct vmfs *fs)
{
    drive->library = (struct op_world){.fs = fs, .prefix = ""};
    drive->model = (struct op_world){.prefix = "", .model = model_create(7, 8)};
    drive->step_count = 0;
    drive->tree_count = 0;
    drive->first = UINT32_MAX;
    drive->is_failed = false;
    drive->pattern = 1000;
    struct model_node *root = drive->model.model->root;
    root->atime_ns = root->mtime_ns = CRASH_LOAD_NOW_NS;
    root->ctime_ns = root->btime_ns = CRASH_LOAD_NOW_NS;
    root->is_atime_known = root->is_mtime_known = true;
    root->is_ctime_known = root->is_btime_known = true;
}

/* The steps that made the tree stay the first ones. On the image the library has done them. */
static void repeat_tree(struct drive *drive)
{
    for (; drive->step_count < drive->tree_steps; drive->step_count++) {
        const struct step *step = &drive->steps[drive->step_count];
        drive->crash->live.now_ns = time_of_step(drive->step_count + 1);
        drive->model.model->now_ns = time_of_step(drive->step_count + 1);
        if (drive->is_zeroed)
            run_both(drive, &step->op);
        else
            op_run_model(&step->op, &drive->model, step->code, drive->model_result);
    }
}

static struct vmfs *attach(struct drive *drive)
{
    struct crash *crash = drive->crash;
    struct vmfs *fs;
    crash_load(crash, drive->is_zeroed ? crash->zeros : drive->image, THREAD_OP);
    uint32_t flags = drive->is_zeroed ? VMFS_CREATE | VMFS_ZEROED : 0;
    crash_must(crash, world_attach(&crash->live, flags, &fs), "attach");
    return fs;
}

void drive_begin(struct drive *drive, const char *label)
{
    drive->label = label;
    drive->crash->label = label;
    begin_sides(drive, attach(drive));
    repeat_tree(drive);
}

static int poison(struct vmfs *fs)
{
    static uint8_t bytes[PIECE_BYTES];
    struct vmfs_file *file;
    memset(bytes, POISON_BYTE, sizeof bytes);
    int err =
        vmfs_file_open(fs, "/poison", VMFS_O_CREAT | VMFS_O_WRONLY | VMFS_O_APPEND, 0600, &file);
    int64_t written = err ? err : 1;
    while (written > 0)
        written = vmfs_file_write(file, bytes, sizeof bytes);
    if (err || written != -ENOSPC)
        return written < 0 ? (int)written : -EIO;
    err = vmfs_file_close(file);
    err = err ? err : vmfs_unlink(fs, "/poison");
    return err ? err : vmfs_sync(fs);
}

/* Formats a region full of garbage, fills its free blocks with a byte that no file has, and makes the
 * tree. */
static void build_image(struct drive *drive)
{
    struct crash *crash = drive->crash;
    struct vmfs *fs;
    seed_fill(crash->garbage, crash->bytes, crash->explorer.seed);
    crash_load(crash, crash->garbage, THREAD_OP);
    crash_must(crash, world_attach(&crash->live, VMFS_CREATE | VMFS_FORCE, &fs), "format");
    drive->oracle.empty_blocks = world_free_blocks(fs);
    crash_must(crash, poison(fs), "poison");
    begin_sides(drive, fs);
    drive_say(drive, tree_script, 0);
    drive->tree_steps = drive->step_count;
    model_destroy(drive->model.model);
    crash_must(crash, vmfs_close(fs), "close");
    crash_must(crash, drive->is_failed ? -EIO : 0, "the tree");
    memcpy(drive->image, crash->live.memory, crash->bytes);
}

void drive_init(struct drive *drive, struct crash *crash)
{
    *drive = (struct drive){.crash = crash, .label = "tree"};
    oracle_init(&drive->oracle);
    drive->image = medium_pages(crash->bytes);
    drive->steps = (void *)medium_pages(DRIVE_STEPS_MAX * sizeof *drive->steps);
    drive->library_result = (void *)medium_pages(sizeof *drive->library_result);
    drive->model_result = (void *)medium_pages(sizeof *drive->model_result);
    build_image(drive);
}

void drive_fini(struct drive *drive)
{
    munmap(drive->image, drive->crash->bytes);
    munmap(drive->steps, DRIVE_STEPS_MAX * sizeof *drive->steps);
    munmap(drive->library_result, sizeof *drive->library_result);
    munmap(drive->model_result, sizeof *drive->model_result);
    for (unsigned index = 0; index < DRIVE_TREES_MAX; index++)
        tree_destroy(drive->trees[index]);
    oracle_fini(&drive->oracle);
}

/* ---- recording ---- */

static void run_checkpoint(struct drive *drive)
{
    struct medium *live = &drive->crash->live;
    if (drive->is_inside_meanwhile || !drive->library.fs || !world_is_quiet(drive->library.fs))
        return;
    drive->is_inside_meanwhile = true;
    unsigned thread = live->thread;
    live->thread = THREAD_OTHER;
    crash_must(drive->crash, world_checkpoint(drive->library.fs), "checkpoint");
    live->thread = thread;
    drive->is_inside_meanwhile = false;
    if (drive->meanwhile == DRIVE_CHECKPOINT_BEFORE_FENCE)
        explore_point(&drive->crash->explorer, live);
}

static void before_fence(struct medium *live, void *arg)
{
    struct drive *drive = arg;
    if (!drive->is_recording)
        return;
    explore_point(&drive->crash->explorer, live);
    if (drive->meanwhile == DRIVE_CHECKPOINT_BEFORE_FENCE)
        run_checkpoint(drive);
}

static void after_fence(struct medium *live, void *arg)
{
    struct drive *drive = arg;
    (void)live;
    if (drive->is_recording && drive->meanwhile == DRIVE_CHECKPOINT_AFTER_FENCE)
        run_checkpoint(drive);
}

/* As without a crash, or the states that are tried are not those that were learnt. */
static void repeat(struct drive *drive, unsigned index)
{
    const struct step *step = &drive->steps[index];
    int64_t code;
    drive->crash->live.now_ns = time_of_step(index + 1);
    if (step->kind == STEP_OP) {
        op_run_vmfs(&step->op, &drive->library, drive->library_result);
        code = drive->library_result->code;
    } else {
        code = run_special(drive, step);
    }
    if (code != step->code)
        fail(drive, "an operation returns something else when it is run again");
}

/* Inside the operation the tree may be the old one or the new one, after it the new one. */
static void record_step(struct drive *drive, unsigned index)
{
    struct oracle *oracle = &drive->oracle;
    struct explorer *explorer = &drive->crash->explorer;
    struct medium *live = &drive->crash->live;
    unsigned tree = index - drive->first;
    const struct tree *after = drive->trees[tree + 1 < drive->tree_count ? tree + 1 : tree];
    oracle_clear(oracle);
    oracle_allow(oracle, drive->trees[tree]);
    oracle_allow(oracle, after);
    oracle_tear(oracle, drive->steps[index].torn);
    medium_begin(live, drive->steps[index].text);
    drive->is_recording = true;
    repeat(drive, index);
    drive->is_recording = false;
    if (!medium_end(live, drive->steps[index].code))
        explore_report(explorer, "a store went past the persist layer");
    oracle_clear(oracle);
    oracle_allow(oracle, after);
    explore_point(explorer, live);
}

static void record_all(struct drive *drive)
{
    struct crash *crash = drive->crash;
    explore_start(&crash->explorer, &crash->live, drive->label, &drive->oracle.judge);
    medium_log(&crash->live);
    oracle_clear(&drive->oracle);
    oracle_allow(&drive->oracle, drive->trees[0]);
    explore_point(&crash->explorer, &crash->live); /* after what went before has returned */
    for (unsigned index = drive->first; index < drive->step_count; index++)
        record_step(drive, index);
}

static void close_library(struct drive *drive)
{
    crash_must(drive->crash, op_close_slots(&drive->library), "close files");
    if (drive->library.fs)
        crash_must(drive->crash, vmfs_close(drive->library.fs), "close");
    drive->library.fs = NULL;
}

void drive_mark(struct drive *drive)
{
    drive->first = drive->step_count;
    take_tree(drive);
}

void drive_stop(struct drive *drive)
{
    close_library(drive);
    op_close_slots(&drive->model);
    model_destroy(drive->model.model);
}

void drive_record(struct drive *drive)
{
    struct medium *live = &drive->crash->live;
    drive_stop(drive);
    if (drive->is_failed || drive->first >= drive->step_count)
        return;
    drive->library = (struct op_world){.fs = attach(drive), .prefix = ""};
    for (unsigned index = drive->is_zeroed ? 0 : drive->tree_steps; index < drive->first; index++)
        repeat(drive, index);
    live->before_fence = before_fence;
    live->after_fence = after_fence;
    live->hook_arg = drive;
    if (!drive->is_failed)
        record_all(drive);
    live->before_fence = NULL;
    live->after_fence = NULL;
    close_library(drive);
}
