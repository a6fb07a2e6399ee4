#include "blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "capture/capfile.h"

static uint8_t read_back[1 << 23];
static const uint8_t bytes[1000];

static int memory(void)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct capfile *new_on(int fd)
{
	const struct capfile_setup setup = {
		.path = "test", .interface = { .linktype = 1, .snaplen = 65535 }
	};
	struct error err;
	struct capfile *w = capfile_new(&setup, dup(fd), &err);

	assert_non_null(w);
	return w;
}

static size_t read_all(int fd)
{
	ssize_t n = pread(fd, read_back, sizeof(read_back), 0);

	assert_true(n >= 0);
	return n;
}

static struct pcapng_packet packet(uint32_t len)
{
	return (struct pcapng_packet){ .data = bytes, .captured = len, .original = len };
}

static unsigned count_blocks(size_t len, uint32_t type)
{
	unsigned count = 0;
	const uint8_t *b;

	for (unsigned i = 0; (b = block(read_back, len, i)); i++)
		count += get32(b) == type;
	return count;
}

static void end(struct capfile *w)
{
	capfile_close(w, 1000);
	capfile_free(w);
}

static void test_header_comes_at_once(void **state)
{
	int fd = memory();
	struct capfile *w = new_on(fd);

	assert_int_equal(count_blocks(read_all(fd), 1), 1);
	end(w);
	assert_int_equal(count_blocks(read_all(fd), 5), 1);
	close(fd);
}

/* Whenever the file is looked at, it ends with a whole block. */
static void test_whole_blocks(void **state)
{
	int fd = memory();
	struct capfile *w = new_on(fd);
	unsigned last = 0;

	for (int i = 0; i < 3000; i++) {
		struct pcapng_packet p = packet(i % 999);

		capfile_packet(w, &p);
		if (i % 100 == 0) {
			unsigned now = count_blocks(read_all(fd), 6);

			assert_true(now >= last);
			last = now;
		}
	}
	assert_true(last > 1000);
	end(w);
	assert_int_equal(count_blocks(read_all(fd), 6), 3000);
	close(fd);
}

static void on_time(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
}

static void test_flushed_in_time(void **state)
{
	int fd = memory();
	struct capfile *w = new_on(fd);
	struct pcapng_packet p = packet(10);
	uv_timer_t timer;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(capfile_start(w, &loop), 0);
	capfile_packet(w, &p);
	assert_int_equal(count_blocks(read_all(fd), 6), 0);
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_time, 250, 0);
	uv_run(&loop, UV_RUN_DEFAULT); /* until nothing waits any more */
	assert_int_equal(count_blocks(read_all(fd), 6), 1);
	capfile_close(w, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	capfile_free(w);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(fd);
}

/* Secrets stand before what was held for them, and all stays in order. */
static void test_hold(void **state)
{
	int fd = memory();
	struct capfile *w = new_on(fd);
	struct pcapng_packet p = packet(1), q = packet(2), r = packet(3);
	const uint32_t want[] = { 0x0a0d0d0a, 1, 6, 10, 10, 6, 10, 6, 5 };
	unsigned first, second;
	size_t len;

	capfile_packet(w, &p);
	first = capfile_hold(w);
	capfile_packet(w, &q);
	second = capfile_hold(w);
	capfile_packet(w, &r);
	capfile_secrets(w, "A\n", 2);
	capfile_secrets(w, "B\n", 2);
	assert_true(capfile_add(w, 3, "of the last", 0));
	capfile_release(w, first);
	capfile_secrets(w, "C\n", 2);
	capfile_release(w, second);
	end(w);
	len = read_all(fd);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(get32(block(read_back, len, i)), want[i]);
	assert_null(block(read_back, len, ARRAY_SIZE(want)));
	assert_int_equal(get32(block(read_back, len, 5) + 20), 2);
	assert_int_equal(get32(block(read_back, len, 7) + 20), 3);
	close(fd);
}

/* Any packet that has not left can be added to, and no other. */
static void test_add(void **state)
{
	int fd = memory();
	struct capfile *w = new_on(fd);
	struct pcapng_packet p = packet(100);
	uint64_t number = 0, late = 0;
	unsigned hold, marked = 0;
	uint16_t len;
	size_t size;

	for (int i = 1; i <= 6000; i++) {
		number = capfile_packet(w, &p);
		assert_int_equal(number, i);
	}
	assert_false(capfile_add(w, 1, "gone", 0));
	assert_false(capfile_add(w, number + 1, "not there", 0));
	assert_false(capfile_add(w, 0, "none", 0));
	late = number - 5;
	assert_true(capfile_add(w, late, "late", 7));
	hold = capfile_hold(w);
	capfile_packet(w, &p);
	assert_true(capfile_add(w, number, "longer than that", 0));
	capfile_secrets(w, "A\n", 2);
	capfile_release(w, hold);
	end(w);
	size = read_all(fd);
	assert_int_equal(count_blocks(size, 6), 6001);
	for (unsigned i = 0; i < 6003; i++) {
		const uint8_t *b = block(read_back, size, i);

		if (get32(b) == 6 && block_option(b, 128, 1, &len)) {
			marked++;
			assert_true(i - 1 == late || i - 1 == number);
		}
		if (get32(b) == 10)
			assert_int_equal(i, number + 2);
	}
	assert_int_equal(marked, 2);
	close(fd);
}

/* A hold that is never released holds no more than so much. */
static void test_hold_is_bounded(void **state)
{
	int fd = memory();
	struct capfile *w = new_on(fd);
	struct pcapng_packet p = packet(1000);

	assert_true(capfile_hold(w) != 0);
	for (int i = 0; i < 12000; i++)
		capfile_packet(w, &p);
	assert_true(read_all(fd) > 7 << 20);
	end(w);
	close(fd);
}

/* A disk that is full in the middle of a block leaves whole ones, and no signal kills us. */
static void test_full_disk(void **state)
{
	const struct rlimit small = { 100001, RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char name[] = "/tmp/test_capfile.XXXXXX";
	int fd = mkstemp(name);
	struct capfile *w = new_on(fd);
	struct pcapng_packet p = packet(1000);
	unsigned kept;

	unlink(name);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < 1000; i++)
		capfile_packet(w, &p);
	setrlimit(RLIMIT_FSIZE, &all);
	kept = count_blocks(read_all(fd), 6);
	assert_int_equal(kept, (100001 - 28 - 4 - 20 - 12) / (1000 + 44));
	assert_true(capfile_stats(w).failed);
	assert_int_equal(capfile_stats(w).received, 1000);
	assert_int_equal(capfile_stats(w).dropped, 1000 - kept);
	end(w);
	assert_int_equal(count_blocks(read_all(fd), 6), kept);
	close(fd);
}

/* Reads to the end; what it has seen is the exit status. */
static int read_pipe(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, read_back + len, sizeof(read_back) - len)) > 0)
		len += n;
	return count_blocks(len, 6) == 4000 && count_blocks(len, 5) == 1 ? 0 : 1;
}

/* What a pipe doesn't take yet waits, and its reader is waited for at the end. */
static void test_slow_pipe(void **state)
{
	struct pcapng_packet p = packet(1000);
	struct capfile *w;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	w = new_on(ends[1]);
	close(ends[1]);
	for (int i = 0; i < 4000; i++)
		capfile_packet(w, &p);
	pid = fork();
	if (pid == 0) {
		capfile_free(w);
		_exit(read_pipe(ends[0]));
	}
	end(w);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ends[0]);
}

static void test_pipe_is_bounded(void **state)
{
	struct capfile *w;
	struct pcapng_packet p = packet(1000);
	int ends[2];

	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	w = new_on(ends[1]);
	close(ends[1]);
	for (int i = 0; i < 80000; i++)
		capfile_packet(w, &p);
	assert_true(capfile_stats(w).dropped > 10000);
	assert_true(capfile_stats(w).dropped < 20000);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_comes_at_once),
		cmocka_unit_test(test_whole_blocks),
		cmocka_unit_test(test_flushed_in_time),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_hold_is_bounded),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_slow_pipe),
		cmocka_unit_test(test_pipe_is_bounded),
	};

	log_init(LOG_LEVEL_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
