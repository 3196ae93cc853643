#include "machine/machine.h"

#include <errno.h>

#include <linux/virtio_console.h>

#include "dev/virtio/virtio_provider.h"
#include "machine_fixture.h"
#include "tap.h"

static void a_vm_goes_through_its_states(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    struct err err = {0};
    CHECK_EQ(machine_state(f.machine), MACHINE_CREATED);
    CHECK_EQ(machine_pause(f.machine, &err), -EBUSY);
    CHECK_STR(err.msg, "cannot pause a VM that is created: it has to be running");
    CHECK_EQ(machine_boot(f.machine, &err), 0);
    CHECK_EQ(machine_state(f.machine), MACHINE_RUNNING);
    CHECK_EQ(machine_boot(f.machine, &err), -EBUSY);
    CHECK_EQ(machine_pause(f.machine, &err), 0);
    CHECK_EQ(machine_pause(f.machine, &err), 0);
    CHECK_EQ(machine_state(f.machine), MACHINE_PAUSED);
    CHECK_EQ(machine_resume(f.machine, &err), 0);
    CHECK_EQ(machine_state(f.machine), MACHINE_RUNNING);
    CHECK_EQ(machine_stop(f.machine, &err), 0);
    CHECK_EQ(machine_state(f.machine), MACHINE_STOPPED);
    CHECK_EQ(machine_resume(f.machine, &err), -EBUSY);
    fixture_fini(&f);
}

static void soft_off_is_the_end_and_says_so(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    null_engine_out(f.machine->vm, MEMORY_MAP_PM1A_CNT, 2, MEMORY_MAP_S5_SLP_TYP << 10 | 1 << 13);
    CHECK(fixture_wait(&f, MACHINE_EVENT_SHUTDOWN));
    CHECK_EQ(machine_state(f.machine), MACHINE_STOPPED);
    fixture_fini(&f);
}

static void a_guest_that_resets_starts_again_from_its_kernel(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    uint8_t *entry = guest_mem_ptr(&f.machine->mem, 0x100000, 1);
    *entry = 0x90;
    null_engine_out(f.machine->vm, MEMORY_MAP_RESET_PORT, 1, MEMORY_MAP_RESET_VALUE);
    CHECK(fixture_wait(&f, MACHINE_EVENT_RESET));
    CHECK_EQ(machine_state(f.machine), MACHINE_RUNNING);
    CHECK_EQ(*entry, 0xf4);
    CHECK(f.machine->vcpus.run);
    fixture_fini(&f);
}

static void a_reset_that_is_asked_for_while_paused_is_not_lost(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    null_engine_out(f.machine->vm, MEMORY_MAP_RESET_PORT, 1, MEMORY_MAP_RESET_VALUE);
    CHECK_EQ(machine_pause(f.machine, NULL), 0); /* before the loop got to the request */
    CHECK(fixture_wait(&f, MACHINE_EVENT_RESET));
    CHECK_EQ(machine_state(f.machine), MACHINE_PAUSED);
    fixture_fini(&f);
}

static void what_was_asked_for_comes_before_going_on(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    machine_pause(f.machine, NULL);
    null_engine_out(f.machine->vm, MEMORY_MAP_RESET_PORT, 1, MEMORY_MAP_RESET_VALUE);
    CHECK_EQ(machine_resume(f.machine, NULL), 0);
    CHECK(!f.machine->vcpus.run);
    CHECK(fixture_wait(&f, MACHINE_EVENT_RESET));
    CHECK(f.machine->vcpus.run);
    fixture_fini(&f);
}

static void a_reset_without_its_kernel_is_a_crash(void)
{
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    CHECK_EQ(ftruncate(f.machine->kernel_fd, 0), 0);
    CHECK(machine_reset(f.machine, &err) < 0);
    CHECK(fixture_wait(&f, MACHINE_EVENT_CRASH));
    CHECK_STR(fixture_text(&f, MACHINE_EVENT_CRASH), err.msg);
    CHECK_EQ(machine_state(f.machine), MACHINE_STOPPED);
    fixture_fini(&f);
}

static void a_reset_forgets_a_disk_error_that_was_not_yet_reported(void)
{
    struct fixture f;
    struct err why;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    err_set(&why, ENOSPC, "write failed");
    machine_fail(f.machine, &f.machine->io_error, MACHINE_REQUEST_IO_ERROR, "disk0", &why);
    CHECK_EQ(machine_reset(f.machine, NULL), 0);
    loop_run_once(f.loop, 0);
    CHECK_EQ(machine_state(f.machine), MACHINE_RUNNING);
    CHECK(f.machine->vcpus.run);
    CHECK(!f.machine->io_error.why.code);
    fixture_fini(&f);
}

static void a_triple_fault_is_a_crash_that_names_the_vcpu(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    null_engine_exit(f.machine->vcpus.v[1].vcpu, ENGINE_EXIT_SHUTDOWN);
    CHECK(fixture_wait(&f, MACHINE_EVENT_CRASH));
    CHECK_STR(fixture_text(&f, MACHINE_EVENT_CRASH), "vCPU 1: triple fault");
    CHECK_EQ(machine_state(f.machine), MACHINE_STOPPED);
    fixture_fini(&f);
}

static void debug_exit_carries_its_code(void)
{
    struct fixture f;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    null_engine_out(f.machine->vm, MEMORY_MAP_DEBUG_EXIT, 1, 21);
    CHECK(fixture_wait(&f, MACHINE_EVENT_DEBUG_EXIT));
    CHECK_EQ(f.events[f.n_events - 2].value, 43);
    fixture_fini(&f);
}

static void the_power_button_needs_a_guest_that_listens(void)
{
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    CHECK_EQ(machine_power_button(f.machine, &err), -ENOTSUP);
    null_engine_out(f.machine->vm, MEMORY_MAP_PM1A_EVT + 2, 2, 0x0100);
    /* What was refused does not come back when the guest begins to listen. */
    CHECK_EQ(null_engine_in(f.machine->vm, MEMORY_MAP_PM1A_EVT, 2), 0);
    CHECK_EQ(machine_power_button(f.machine, &err), 0);
    CHECK_EQ(null_engine_in(f.machine->vm, MEMORY_MAP_PM1A_EVT, 2), 0x0100);
    fixture_fini(&f);
}

static void a_device_name_is_used_once(void)
{
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    struct vm_config_nic nic = {
        .id = "nic7", .kind = VM_CONFIG_NIC_NONE, .mac = {2, 0, 0, 0, 0, 1}};
    struct machine_nic_files files = {.n_fds = 0};
    CHECK_EQ(machine_attach_nic(f.machine, &nic, &files, &err), 0);
    CHECK_EQ(machine_attach_nic(f.machine, &nic, &files, &err), -EEXIST);
    CHECK_STR(err.msg, "the VM already has a nic 'nic7': choose another id");
    CHECK_EQ(machine_detach(f.machine, "nic8", &err), -ENOENT);
    CHECK_EQ(machine_detach(f.machine, "rng", &err), -ENOTSUP);
    CHECK_EQ(machine_detach(f.machine, "nic7", &err), 0);
    CHECK(!machine_device_find(f.machine, "nic7"));
    fixture_fini(&f);
}

/* However often the guest has others: it decides how often that is. */
static void new_addresses_are_told_at_once_and_then_once_a_second(void)
{
    struct fixture f;
    fixture_init(&f);
    loop_destroy(f.loop);
    f.loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    loop_advance_ns(f.loop, INT64_C(5000000000));
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    struct vm_config_nic nic = {
        .id = "nic7", .kind = VM_CONFIG_NIC_NONE, .mac = {2, 0, 0, 0, 0, 1}};
    struct machine_nic_files files = {.n_fds = 0};
    REQUIRE(machine_attach_nic(f.machine, &nic, &files, NULL) == 0);
    struct machine_device *d = machine_device_find(f.machine, "nic7");
    f.n_events = 0;
    machine_addresses_changed(d);
    CHECK(fixture_wait(&f, MACHINE_EVENT_ADDRESSES));
    for (int i = 0; i < 10; i++) {
        machine_addresses_changed(d);
        loop_run_once(f.loop, 0);
    }
    loop_advance_ns(f.loop, INT64_C(999999999));
    CHECK_EQ(f.n_events, 1);
    loop_advance_ns(f.loop, 1);
    CHECK_EQ(f.n_events, 2);
    loop_advance_ns(f.loop, INT64_C(5000000000));
    CHECK_EQ(f.n_events, 2);
    machine_addresses_changed(d);
    loop_run_once(f.loop, 0);
    CHECK_EQ(f.n_events, 3);
    machine_addresses_changed(d); /* one is waited for when the machine goes */
    loop_run_once(f.loop, 0);
    fixture_fini(&f);
}

static void a_running_guest_is_asked_before_a_nic_goes(void)
{
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    struct vm_config_nic nic = {
        .id = "nic7", .kind = VM_CONFIG_NIC_NONE, .mac = {2, 0, 0, 0, 0, 1}};
    struct machine_nic_files files = {.n_fds = 0};
    CHECK_EQ(machine_attach_nic(f.machine, &nic, &files, &err), 0);
    unsigned slot = machine_device_find(f.machine, "nic7")->slot;
    CHECK_EQ(null_engine_in(f.machine->vm, MEMORY_MAP_PCI_HOTPLUG, 4), UINT32_C(1) << slot);
    CHECK_EQ(machine_detach(f.machine, "nic7", &err), 0);
    CHECK(machine_device_find(f.machine, "nic7"));
    CHECK_EQ(null_engine_in(f.machine->vm, MEMORY_MAP_PCI_HOTPLUG + 4, 4), UINT32_C(1) << slot);
    null_engine_out(f.machine->vm, MEMORY_MAP_PCI_HOTPLUG + 8, 4, UINT32_C(1) << slot);
    CHECK(fixture_wait(&f, MACHINE_EVENT_DETACHED));
    CHECK(!machine_device_find(f.machine, "nic7"));
    fixture_fini(&f);
}

static void a_guest_ejects_nothing_that_the_machine_keeps(void)
{
    struct fixture f;
    fixture_init(&f);
    f.config.virtio_console.kind = VM_CONFIG_CONSOLE_UNIX;
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    struct vm_config_nic nic = {
        .id = "nic7", .kind = VM_CONFIG_NIC_NONE, .mac = {2, 0, 0, 0, 0, 1}};
    struct machine_nic_files files = {.n_fds = 0};
    CHECK_EQ(machine_attach_nic(f.machine, &nic, &files, NULL), 0);
    unsigned n = f.machine->n_devices;
    null_engine_out(f.machine->vm, MEMORY_MAP_PCI_HOTPLUG + 8, 4, UINT32_MAX);
    CHECK(fixture_wait(&f, MACHINE_EVENT_DETACHED));
    CHECK_EQ(f.machine->n_devices, n - 1);
    CHECK(machine_device_find(f.machine, "console"));
    CHECK_EQ(machine_console_resize(f.machine, 80, 25, NULL), 0);
    CHECK(f.machine->virtio_console->features_offered & 1 << VIRTIO_CONSOLE_F_SIZE);
    fixture_fini(&f);
}

static void state_comes_back_the_same_in_a_new_machine(void)
{
    struct fixture a, b;
    struct err err = {0};
    struct state_writer first, second;
    fixture_init(&a);
    REQUIRE(fixture_create(&a));
    machine_boot(a.machine, NULL);
    null_engine_out(a.machine->vm, MEMORY_MAP_COM1 + 7, 1, 0x5a); /* the UART's scratch register */
    state_writer_init(&first);
    CHECK_EQ(machine_save(a.machine, &first, NULL), -EBUSY);
    CHECK_EQ(machine_balloon_set(a.machine, MIB, NULL), 0);
    machine_pause(a.machine, NULL);
    CHECK_EQ(machine_save(a.machine, &first, &err), 0);

    fixture_init(&b);
    REQUIRE(fixture_create(&b));
    struct state_reader r;
    state_reader_init(&r, first.data, first.len_bytes);
    CHECK_EQ(machine_load(b.machine, &r, &err), 0);
    CHECK_STR(err.msg, "");
    CHECK_EQ(r.pos, first.len_bytes);
    CHECK_EQ(machine_state(b.machine), MACHINE_PAUSED);
    CHECK_EQ(machine_resume(b.machine, &err), 0);
    CHECK_EQ(null_engine_in(b.machine->vm, MEMORY_MAP_COM1 + 7, 1), 0x5a);
    struct machine_balloon balloon;
    CHECK_EQ(machine_balloon_get(b.machine, &balloon, NULL), 0);
    CHECK_EQ(balloon.target_bytes, MIB);
    machine_pause(b.machine, NULL);
    state_writer_init(&second);
    CHECK_EQ(machine_save(b.machine, &second, &err), 0);
    CHECK_EQ(first.len_bytes, second.len_bytes);
    state_writer_fini(&first);
    state_writer_fini(&second);
    fixture_fini(&a);
    fixture_fini(&b);
}

static void a_copy_is_told_that_it_is_one(void)
{
    struct fixture f;
    uint8_t old[16], now[16];
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    guest_mem_read(&f.machine->mem, f.machine->vmgenid.gpa, old, sizeof(old));
    CHECK_EQ(machine_new_generation(f.machine, NULL), -EBUSY);
    machine_pause(f.machine, NULL);
    CHECK_EQ(machine_new_generation(f.machine, NULL), 0);
    guest_mem_read(&f.machine->mem, f.machine->vmgenid.gpa, now, sizeof(now));
    CHECK(memcmp(old, now, sizeof(old)) != 0);
    CHECK(null_engine_in(f.machine->vm, MEMORY_MAP_GPE0, 1) & 1 << MEMORY_MAP_GPE_VMGENID);
    fixture_fini(&f);
}

static void state_that_is_cut_short_is_refused_everywhere(void)
{
    struct fixture a;
    struct state_writer w;
    fixture_init(&a);
    REQUIRE(fixture_create(&a));
    machine_boot(a.machine, NULL);
    machine_pause(a.machine, NULL);
    state_writer_init(&w);
    CHECK_EQ(machine_save(a.machine, &w, NULL), 0);
    for (size_t len = 0; len < w.len_bytes; len += 1 + len / 8) {
        struct fixture b;
        struct err err = {0};
        struct state_reader r;
        fixture_init(&b);
        REQUIRE(fixture_create(&b));
        state_reader_init(&r, w.data, len);
        CHECK(machine_load(b.machine, &r, &err) < 0);
        CHECK(err.msg[0]);
        CHECK_EQ(machine_state(b.machine), MACHINE_STOPPED);
        CHECK_EQ(machine_boot(b.machine, NULL), -EBUSY);
        fixture_fini(&b);
    }
    state_writer_fini(&w);
    fixture_fini(&a);
}

static void a_held_machine_changes_in_nothing(void)
{
    struct fixture f;
    struct err err = {0};
    struct vm_config_nic nic = {
        .id = "nic7", .kind = VM_CONFIG_NIC_NONE, .mac = {2, 0, 0, 0, 0, 1}};
    struct machine_nic_files files = {.n_fds = 0};
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    CHECK_EQ(machine_hold(f.machine, &err), -EBUSY);
    CHECK_STR(err.msg, "cannot save a VM that is running: it has to be paused");
    machine_pause(f.machine, NULL);
    CHECK_EQ(machine_hold(f.machine, &err), 0);
    CHECK_EQ(machine_hold(f.machine, &err), -EBUSY);
    CHECK_EQ(machine_resume(f.machine, &err), -EBUSY);
    CHECK_STR(err.msg, "cannot resume a VM that is being saved: wait for the end");
    CHECK_EQ(machine_reset(f.machine, NULL), -EBUSY);
    CHECK_EQ(machine_new_generation(f.machine, NULL), -EBUSY);
    CHECK_EQ(machine_attach_nic(f.machine, &nic, &files, NULL), -EBUSY);
    machine_release(f.machine);
    CHECK_EQ(machine_attach_nic(f.machine, &nic, &files, &err), 0);
    CHECK_EQ(machine_resume(f.machine, &err), 0);
    fixture_fini(&f);
}

static void a_reset_that_the_guest_asked_for_comes_before_a_hold(void)
{
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    null_engine_out(f.machine->vm, MEMORY_MAP_RESET_PORT, 1, MEMORY_MAP_RESET_VALUE);
    CHECK_EQ(machine_pause(f.machine, NULL), 0);
    CHECK_EQ(machine_hold(f.machine, &err), -EBUSY);
    CHECK(strstr(err.msg, "try again"));
    CHECK(fixture_wait(&f, MACHINE_EVENT_RESET));
    CHECK_EQ(machine_hold(f.machine, &err), 0);
    fixture_fini(&f);
}

static void state_of_another_cpu_is_refused_by_leaf_and_values(void)
{
    struct fixture a, b;
    struct err err = {0};
    struct state_writer w;
    struct state_reader r;
    fixture_init(&a);
    REQUIRE(fixture_create(&a));
    machine_boot(a.machine, NULL);
    machine_pause(a.machine, NULL);
    REQUIRE(a.machine->n_cpuid > 0);
    a.machine->cpuid[0].ecx ^= 0x10;
    state_writer_init(&w);
    CHECK_EQ(machine_save(a.machine, &w, NULL), 0);
    fixture_init(&b);
    REQUIRE(fixture_create(&b));
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(machine_load(b.machine, &r, &err) < 0);
    CHECK(strstr(err.msg, "CPUID leaf 0x") && strstr(err.msg, "--cpu-model"));
    state_writer_fini(&w);
    fixture_fini(&a);
    fixture_fini(&b);
}

static void a_vm_without_a_kernel_and_without_a_disk_is_refused_with_the_remedy(void)
{
    struct fixture f;
    fixture_init(&f);
    close(f.files.kernel_fd);
    f.files.kernel_fd = -1;
    strcpy(f.config.engine, "kvm");
    struct err err = {0};
    struct machine_setup setup = {.engines = fixture_engines, .loop = f.loop};
    CHECK(!machine_create(&f.config, &setup, &f.files, &err));
    CHECK(strstr(err.msg, "no disk to find one on") && strstr(err.msg, "--kernel"));
    fixture_fini(&f);
}

/* One back end may serve several disks, and takes them all along when it dies. */
static void devices_that_fail_at_once_are_all_reported(void)
{
    struct fixture f;
    struct err why;
    fixture_init(&f);
    REQUIRE(fixture_create(&f));
    machine_boot(f.machine, NULL);
    REQUIRE(f.machine->n_devices >= 2);
    for (unsigned i = 0; i < 2; i++) {
        err_set(&why, EIO, "device %u broke", i);
        virtio_device_broken(f.machine->devices[i]->dev, &why);
    }
    CHECK(fixture_wait(&f, MACHINE_EVENT_DEVICE_FAILED));
    unsigned told = 0;
    for (unsigned i = 0; i < f.n_events; i++)
        if (f.events[i].kind == MACHINE_EVENT_DEVICE_FAILED)
            told |= strcmp(f.texts[i], "device 1 broke") ? 1 : 2;
    CHECK_EQ(told, 3);
    fixture_fini(&f);
}

int main(void)
{
    TAP_RUN(a_vm_goes_through_its_states);
    TAP_RUN(soft_off_is_the_end_and_says_so);
    TAP_RUN(a_guest_that_resets_starts_again_from_its_kernel);
    TAP_RUN(a_reset_that_is_asked_for_while_paused_is_not_lost);
    TAP_RUN(what_was_asked_for_comes_before_going_on);
    TAP_RUN(a_reset_without_its_kernel_is_a_crash);
    TAP_RUN(a_reset_forgets_a_disk_error_that_was_not_yet_reported);
    TAP_RUN(a_triple_fault_is_a_crash_that_names_the_vcpu);
    TAP_RUN(debug_exit_carries_its_code);
    TAP_RUN(the_power_button_needs_a_guest_that_listens);
    TAP_RUN(a_device_name_is_used_once);
    TAP_RUN(a_running_guest_is_asked_before_a_nic_goes);
    TAP_RUN(new_addresses_are_told_at_once_and_then_once_a_second);
    TAP_RUN(a_guest_ejects_nothing_that_the_machine_keeps);
    TAP_RUN(devices_that_fail_at_once_are_all_reported);
    TAP_RUN(state_comes_back_the_same_in_a_new_machine);
    TAP_RUN(a_copy_is_told_that_it_is_one);
    TAP_RUN(state_that_is_cut_short_is_refused_everywhere);
    TAP_RUN(a_held_machine_changes_in_nothing);
    TAP_RUN(a_reset_that_the_guest_asked_for_comes_before_a_hold);
    TAP_RUN(state_of_another_cpu_is_refused_by_leaf_and_values);
    TAP_RUN(a_vm_without_a_kernel_and_without_a_disk_is_refused_with_the_remedy);
    return tap_done();
}
