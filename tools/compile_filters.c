/* Build tool: turns src/sandbox/filters/<kind>.policy into C source with one BPF program for each
 * kind, and a table of system call names for the message of a refusal. It links libseccomp so that
 * the monitor does not.
 *
 * A policy is a list of lines:
 *   # comment
 *   # reason: text                 why the next line's rule stays though no test exercises it
 *   include other                  the rules of filters/other.policy
 *   read                           allowed with any arguments
 *   ioctl arg1 == KVM_RUN          allowed when an argument has this value; 32 bits are compared
 *   mmap arg2 lacks PROT_EXEC      allowed when none of these bits is set
 *   clone arg0 has CLONE_THREAD    allowed when all of these bits are set
 *   clone3 fails ENOSYS            answered with this error
 * Several lines for one call: any of them allows it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define NESTING_MAX      4
#define SANDBOX_SYSCALLS 512 /* as in sandbox/sandbox_internal.h */
#define LINE_BYTES       256

struct constant {
    const char *name;
    unsigned long value;
};
#define C(name)                                                                                    \
    {                                                                                              \
#name, (unsigned long)(name)                                                               \
    }

static const struct constant constants[] = {
    C(ENOSYS),
    C(EPERM),
    C(EACCES),
    C(PROT_EXEC),
    C(MAP_SHARED),
    C(CLONE_THREAD),
    C(CLONE_VM),
    C(AF_UNIX),
    C(SOCK_STREAM),
    C(SOL_SOCKET),
    C(SO_PEERCRED),
    C(SO_TYPE),
    C(SO_ERROR),
    C(SO_RCVTIMEO),
    C(PR_SET_NAME),
    C(PR_SET_VMA),
    C(SECCOMP_SET_MODE_FILTER),
    C(MADV_DONTNEED),
    C(MADV_FREE),
    C(MADV_REMOVE),
    C(MADV_HUGEPAGE),
    C(MADV_NOHUGEPAGE),
    C(MADV_DONTDUMP),
    C(MADV_DONTFORK),
    C(MADV_POPULATE_WRITE),
    C(MADV_MERGEABLE),
    C(MADV_WILLNEED),
    C(F_GETFL),
    C(F_SETFL),
    C(F_GETFD),
    C(F_SETFD),
    C(F_DUPFD_CLOEXEC),
    C(F_OFD_SETLK),
    C(F_OFD_GETLK),
    C(F_ADD_SEALS),
    C(F_GET_SEALS),
    C(FIONBIO),
    C(FIONREAD),
    C(TCGETS),
    C(TCSETS),
    C(TIOCGWINSZ),
    C(BLKDISCARD),
    C(BLKZEROOUT),
    C(BLKFLSBUF),
    C(BLKGETSIZE64),
    C(BLKSSZGET),
    C(BLKPBSZGET),
    C(TUNSETOFFLOAD),
    C(TUNSETVNETHDRSZ),
    C(TUNGETIFF),
    C(TUNSETVNETLE),
    C(TUNGETFEATURES),
    C(TUNSETQUEUE),
    C(SIGUSR1),
    C(SIGUSR2),
    C(SIGSYS),
    C(SIGABRT),
    C(SIGCHLD),
    /* The kick of engine/kvm: the second real-time signal that the C library leaves free. */
    {"SIGRTMIN_1", 35},
    C(KVM_RUN),
    C(KVM_GET_API_VERSION),
    C(KVM_CREATE_VM),
    C(KVM_CHECK_EXTENSION),
    C(KVM_GET_VCPU_MMAP_SIZE),
    C(KVM_GET_SUPPORTED_CPUID),
    C(KVM_GET_MSR_INDEX_LIST),
    C(KVM_CREATE_VCPU),
    C(KVM_SET_USER_MEMORY_REGION),
    C(KVM_SET_TSS_ADDR),
    C(KVM_SET_IDENTITY_MAP_ADDR),
    C(KVM_ENABLE_CAP),
    C(KVM_IRQFD),
    C(KVM_IOEVENTFD),
    C(KVM_SET_GSI_ROUTING),
    C(KVM_SIGNAL_MSI),
    C(KVM_GET_DIRTY_LOG),
    C(KVM_CLEAR_DIRTY_LOG),
    C(KVM_RESET_DIRTY_RINGS),
    C(KVM_GET_CLOCK),
    C(KVM_SET_CLOCK),
    C(KVM_SET_CPUID2),
    C(KVM_GET_CPUID2),
    C(KVM_GET_REGS),
    C(KVM_SET_REGS),
    C(KVM_GET_SREGS),
    C(KVM_SET_SREGS),
    C(KVM_GET_FPU),
    C(KVM_SET_FPU),
    C(KVM_GET_MSRS),
    C(KVM_SET_MSRS),
    C(KVM_GET_LAPIC),
    C(KVM_SET_LAPIC),
    C(KVM_GET_XSAVE),
    C(KVM_SET_XSAVE),
    C(KVM_GET_XCRS),
    C(KVM_SET_XCRS),
    C(KVM_GET_DEBUGREGS),
    C(KVM_SET_DEBUGREGS),
    C(KVM_GET_VCPU_EVENTS),
    C(KVM_SET_VCPU_EVENTS),
    C(KVM_GET_MP_STATE),
    C(KVM_SET_MP_STATE),
    C(KVM_INTERRUPT),
    C(KVM_NMI),
    C(KVM_SET_SIGNAL_MASK),
    C(KVM_SET_GUEST_DEBUG),
    C(KVM_GET_TSC_KHZ),
    C(KVM_SET_TSC_KHZ),
    C(KVM_KVMCLOCK_CTRL),
    C(KVM_TRANSLATE),
    C(KVM_GET_XSAVE2),
    C(KVM_CREATE_IRQCHIP),
    C(KVM_SET_DEVICE_ATTR),
    C(KVM_GET_DEVICE_ATTR),
    C(KVM_HAS_DEVICE_ATTR),
};

struct place {
    const char *dir;
    const char *kind; /* whose policy includes this file */
    const char *file;
    int line;
    char reason[LINE_BYTES]; /* given above the rule */
};

static _Noreturn void fail(const struct place *at, const char *what, const char *value)
{
    fprintf(stderr, "%s/%s.policy:%d: %s \"%s\"\n", at->dir, at->file, at->line, what, value);
    exit(1);
}

static unsigned long constant(const struct place *at, const char *name)
{
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        if (!strcmp(constants[i].name, name))
            return constants[i].value;
    char *end;
    unsigned long v = strtoul(name, &end, 0);
    if (end == name || *end)
        fail(at, "not a number and not a known constant:", name);
    return v;
}

/* With ctx NULL the rule is printed, its constants resolved: KIND NAME [ARG OP VALUE] | FILE:LINE |
 * REASON. tools/check-filters reads that. */
static void list_rule(const struct place *at, const char *name, const char *subject, const char *op,
                      unsigned long value)
{
    printf("%s %s", at->kind, name);
    if (subject)
        printf(" %s %s 0x%lx", subject, op, value & 0xffffffffu);
    printf(" | %s.policy:%d | %s\n", at->file, at->line, at->reason);
}

static void add_rule(scmp_filter_ctx ctx, const struct place *at, char *line)
{
    char *save, *name = strtok_r(line, " \t", &save);
    char *subject = strtok_r(NULL, " \t", &save), *op = strtok_r(NULL, " \t", &save);
    int nr = seccomp_syscall_resolve_name(name);
    if (nr < 0)
        fail(at, "no such system call on this architecture:", name);
    int r = 0;
    if (!ctx && (!subject || !strcmp(subject, "fails"))) {
        list_rule(at, name, NULL, NULL, 0);
    } else if (!subject) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
    } else if (!strcmp(subject, "fails") && op) {
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)constant(at, op)), nr, 0);
    } else {
        char *value = strtok_r(NULL, " \t", &save);
        if (strncmp(subject, "arg", 3) != 0 || subject[3] < '0' || subject[3] > '5' || subject[4] ||
            !op || !value)
            fail(at, "not a condition: use argN ==|has|lacks VALUE, not", subject);
        unsigned long v = constant(at, value);
        struct scmp_arg_cmp cmp = {.arg = (unsigned)(subject[3] - '0'), .op = SCMP_CMP_MASKED_EQ};
        cmp.datum_a = !strcmp(op, "==") ? 0xffffffffu : v;
        cmp.datum_b = !strcmp(op, "lacks") ? 0 : v & 0xffffffffu;
        if (strcmp(op, "==") && strcmp(op, "has") && strcmp(op, "lacks"))
            fail(at, "not an operator:", op);
        if (ctx)
            r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 1, &cmp);
        else
            list_rule(at, name, subject, op, v);
    }
    if (r && r != -EEXIST)
        fail(at, strerror(-r), name);
}

static void read_policy(scmp_filter_ctx ctx, const char *dir, const char *kind, const char *file,
                        int depth)
{
    static const char reason[] = "# reason: ";
    struct place at = {.dir = dir, .kind = kind, .file = file};
    char path[512], line[LINE_BYTES];
    snprintf(path, sizeof(path), "%s/%s.policy", dir, file);
    FILE *f = fopen(path, "re");
    if (!f || depth > NESTING_MAX)
        fail(&at, f ? "includes nest too deep at" : "could not open", path);
    while (fgets(line, sizeof(line), f)) {
        at.line++;
        line[strcspn(line, "\n")] = '\0';
        if (!strncmp(line, reason, sizeof(reason) - 1)) {
            snprintf(at.reason, sizeof(at.reason), "%s", line + sizeof(reason) - 1);
            continue;
        }
        line[strcspn(line, "#")] = '\0';
        char *p = line + strspn(line, " \t");
        for (size_t n = strlen(p); n && (p[n - 1] == ' ' || p[n - 1] == '\t');)
            p[--n] = '\0';
        if (!strncmp(p, "include ", 8))
            read_policy(ctx, dir, kind, p + 8, depth + 1);
        else if (*p)
            add_rule(ctx, &at, p);
        at.reason[0] = '\0';
    }
    fclose(f);
}

static void print_program(FILE *out, const char *kind, scmp_filter_ctx ctx)
{
    FILE *f = tmpfile();
    if (!f || seccomp_export_bpf(ctx, fileno(f))) {
        fprintf(stderr, "could not export the filter of %s\n", kind);
        exit(1);
    }
    rewind(f);
    struct sock_filter insn;
    fprintf(out, "static const struct sock_filter filter_%s[] = {\n", kind);
    while (fread(&insn, sizeof(insn), 1, f) == 1)
        fprintf(out, "    {0x%x, %u, %u, 0x%x},\n", insn.code, insn.jt, insn.jf, insn.k);
    fprintf(out, "};\n");
    fclose(f);
}

static void compile(FILE *out, const char *dir, const char *kind)
{
    /* What a rule does not allow traps: the handler names it and ends the process. Another
     * architecture's calls kill at once. */
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
    if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) ||
        seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) {
        fprintf(stderr, "could not set up the filter of %s\n", kind);
        exit(1);
    }
    read_policy(ctx, dir, kind, kind, 0);
    print_program(out, kind, ctx);
    seccomp_release(ctx);
}

static void print_names(FILE *out)
{
    fprintf(out, "const char *const sandbox_syscall_names[SANDBOX_SYSCALLS] = {\n");
    for (int nr = 0; nr < SANDBOX_SYSCALLS; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        if (name)
            fprintf(out, "    [%d] = \"%s\",\n", nr, name);
        free(name);
    }
    fprintf(out, "};\n");
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: compile-filters OUT.c|--list POLICY_DIR KIND...\n");
        return 2;
    }
    if (!strcmp(argv[1], "--list")) {
        for (int i = 3; i < argc; i++)
            read_policy(NULL, argv[2], argv[i], argv[i], 0);
        return 0;
    }
    FILE *out = fopen(argv[1], "we");
    if (!out) {
        perror(argv[1]);
        return 1;
    }
    fprintf(out, "/* Made by compile_filters.c from the policies: do not edit. */\n"
                 "#include \"sandbox/sandbox_internal.h\"\n");
    for (int i = 3; i < argc; i++)
        compile(out, argv[2], argv[i]);
    fprintf(out, "const struct sandbox_filter sandbox_filters[] = {\n");
    for (int i = 3; i < argc; i++)
        fprintf(out, "    {\"%s\", filter_%s, sizeof(filter_%s) / sizeof(filter_%s[0])},\n",
                argv[i], argv[i], argv[i], argv[i]);
    fprintf(out, "};\n");
    print_names(out);
    return fclose(out) ? 1 : 0;
}
